#include "comm/mpi/backend.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "comm/mpi/reduce.h"

namespace tutti::comm {
namespace {

using Bytes = std::span<std::byte>;
using ConstBytes = std::span<const std::byte>;

ConstBytes nothing(int) { return {}; }
Bytes nowhere(int) { return {}; }

// Block `index` of a buffer that is made of blocks of `bytes` bytes.
ConstBytes block(ConstBufferView view, std::size_t bytes, int index) {
  return {static_cast<const std::byte*>(view.data) + bytes * static_cast<std::size_t>(index), bytes};
}
Bytes block(BufferView view, std::size_t bytes, int index) {
  return {static_cast<std::byte*>(view.data) + bytes * static_cast<std::size_t>(index), bytes};
}

void copy(Bytes to, ConstBytes from) {
  if (to.data() != from.data() && !to.empty()) std::memcpy(to.data(), from.data(), to.size());
}

Signature reducing(const Backend::Call& call, BufferView out, ReduceOp op) {
  Signature signature = make_signature(call, out.count, out.dtype);
  signature.op = static_cast<std::uint8_t>(op);
  return signature;
}

Signature rooted(const Backend::Call& call, ConstBufferView buffer, int root) {
  Signature signature = make_signature(call, buffer.count, buffer.dtype);
  signature.root = root;
  return signature;
}

}  // namespace

template <typename Out, typename In>
std::vector<Link> MpiBackend::links(Out out, In in) const {
  std::vector<Link> links;
  for (int step = 1; step < size(); ++step) {
    const int peer = (rank() + step) % size();
    links.push_back({peer, out(peer), in(peer)});
  }
  return links;
}

template <typename Body>
Work MpiBackend::run(const Call& call, Body body) {
  const Running running(call);
  group_->check_alive(running);
  try {
    body(running);
  } catch (const std::exception& error) {
    group_->give_up({call.name, call.sequence, -1, false, error.what()});
    throw;
  }
  return {};
}

Work MpiBackend::all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  return run(call, [&](const Running& running) {
    mpi_all_reduce(*group_, running, reducing(call, out, op), in, out, op);
  });
}

Work MpiBackend::reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  return run(call, [&](const Running& running) {
    mpi_reduce_scatter(*group_, running, reducing(call, out, op), in, out, op);
  });
}

Work MpiBackend::all_gather(ConstBufferView in, BufferView out, const Call& call) {
  return run(call, [&](const Running& running) {
    const auto mine = block(in, in.bytes(), 0);
    group_->exchange(
        running, make_signature(call, in.count, in.dtype),
        links([&](int) { return mine; }, [&](int peer) { return block(out, in.bytes(), peer); }));
    copy(block(out, in.bytes(), rank()), mine);
  });
}

Work MpiBackend::broadcast(BufferView buffer, int root, const Call& call) {
  return run(call, [&](const Running& running) {
    const auto all = block(buffer, buffer.bytes(), 0);
    group_->exchange(running, rooted(call, buffer, root),
                     links([&](int) { return rank() == root ? ConstBytes(all) : ConstBytes(); },
                           [&](int peer) { return peer == root ? all : Bytes(); }));
  });
}

Work MpiBackend::all_to_all(ConstBufferView in, BufferView out, const Call& call) {
  return run(call, [&](const Running& running) {
    const auto ranks = static_cast<std::size_t>(size());
    const auto bytes = in.bytes() / ranks;
    group_->exchange(running, make_signature(call, in.count / ranks, in.dtype),
                     links([&](int peer) { return block(in, bytes, peer); },
                           [&](int peer) { return block(out, bytes, peer); }));
    copy(block(out, bytes, rank()), block(in, bytes, rank()));
  });
}

Work MpiBackend::gather(ConstBufferView in, BufferView out, int root, const Call& call) {
  return run(call, [&](const Running& running) {
    const auto mine = block(in, in.bytes(), 0);
    const auto to_root = [&](int peer) { return peer == root ? mine : ConstBytes(); };
    const auto place = [&](int peer) { return block(out, in.bytes(), peer); };
    group_->exchange(running, rooted(call, in, root),
                     rank() == root ? links(nothing, place) : links(to_root, nowhere));
    if (rank() == root) copy(place(root), mine);
  });
}

Work MpiBackend::scatter(ConstBufferView in, BufferView out, int root, const Call& call) {
  return run(call, [&](const Running& running) {
    const auto mine = block(out, out.bytes(), 0);
    const auto theirs = [&](int peer) { return block(in, out.bytes(), peer); };
    const auto from_root = [&](int peer) { return peer == root ? mine : Bytes(); };
    group_->exchange(running, rooted(call, out, root),
                     rank() == root ? links(theirs, nowhere) : links(nothing, from_root));
    if (rank() == root) copy(mine, theirs(root));
  });
}

Work MpiBackend::send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from, const Call& call) {
  return run(call, [&](const Running& running) { group_->exchange(running, in, to, out, from); });
}

Work MpiBackend::barrier(const Call& call) {
  return run(call, [&](const Running& running) {
    group_->exchange(running, make_signature(call, 0, DType::u8), links(nothing, nowhere));
  });
}

std::unique_ptr<Backend> MpiBackend::split(int color, int key, const Call& call) {
  std::unique_ptr<Backend> result;
  run(call, [&](const Running& running) {
    // MPI takes no negative colour: the first rank of a colour stands for it.
    std::vector<int> colors(static_cast<std::size_t>(size()), color);
    const auto mine = std::as_bytes(std::span(&color, 1));
    group_->exchange(running, make_signature(call, 0, DType::i32),
                     links([&](int) { return mine; },
                           [&](int peer) { return block(BufferView(colors), sizeof color, peer); }));
    const auto first = std::find(colors.begin(), colors.end(), color) - colors.begin();
    // All have met, so that MPI_Comm_split has nobody to wait for.
    MPI_Comm comm;
    check_mpi(MPI_Comm_split(group_->comm(), static_cast<int>(first), key, &comm), "MPI_Comm_split");
    result = std::make_unique<MpiBackend>(std::make_unique<MpiGroup>(group_->session(), comm));
    MPI_Comm_free(&comm);
  }).wait();
  return result;
}

}  // namespace tutti::comm
