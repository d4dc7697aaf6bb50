#include "comm/mpi/backend.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "comm/mpi/bytes.h"
#include "comm/mpi/reduce.h"

namespace tutti::comm {
namespace {

ConstBytes nothing(int) { return {}; }
Bytes nowhere(int) { return {}; }

}  // namespace

Work MpiBackend::all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  return run(call, reducing(call, out, op), [&](const Running& running, const Signature& signature) {
    mpi_all_reduce(group(), running, signature, in, out, op);
  });
}

Work MpiBackend::reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  return run(call, reducing(call, out, op), [&](const Running& running, const Signature& signature) {
    mpi_reduce_scatter(group(), running, signature, in, out, op);
  });
}

Work MpiBackend::all_gather(ConstBufferView in, BufferView out, const Call& call) {
  return run(call, make_signature(call, in.count, in.dtype),
             [&](const Running& running, const Signature& signature) {
               const auto mine = block(in, in.bytes(), 0);
               group_->exchange(
                   running, signature,
                   links([&](int) { return mine; }, [&](int peer) { return block(out, in.bytes(), peer); }));
               copy(block(out, in.bytes(), rank()), mine);
             });
}

Work MpiBackend::broadcast(BufferView buffer, int root, const Call& call) {
  return run(call, rooted(call, buffer, root), [&](const Running& running, const Signature& signature) {
    const auto all = block(buffer, buffer.bytes(), 0);
    group_->exchange(running, signature,
                     links([&](int) { return rank() == root ? ConstBytes(all) : ConstBytes(); },
                           [&](int peer) { return peer == root ? all : Bytes(); }));
  });
}

Work MpiBackend::all_to_all(ConstBufferView in, BufferView out, const Call& call) {
  return run(call, make_signature(call, in.count / static_cast<std::size_t>(size()), in.dtype),
             [&](const Running& running, const Signature& signature) {
               const auto bytes = in.bytes() / static_cast<std::size_t>(size());
               group_->exchange(running, signature,
                                links([&](int peer) { return block(in, bytes, peer); },
                                      [&](int peer) { return block(out, bytes, peer); }));
               copy(block(out, bytes, rank()), block(in, bytes, rank()));
             });
}

Work MpiBackend::gather(ConstBufferView in, BufferView out, int root, const Call& call) {
  return run(call, rooted(call, in, root), [&](const Running& running, const Signature& signature) {
    const auto mine = block(in, in.bytes(), 0);
    const auto to_root = [&](int peer) { return peer == root ? mine : ConstBytes(); };
    const auto place = [&](int peer) { return block(out, in.bytes(), peer); };
    group_->exchange(running, signature, rank() == root ? links(nothing, place) : links(to_root, nowhere));
    if (rank() == root) copy(place(root), mine);
  });
}

Work MpiBackend::scatter(ConstBufferView in, BufferView out, int root, const Call& call) {
  return run(call, rooted(call, out, root), [&](const Running& running, const Signature& signature) {
    const auto mine = block(out, out.bytes(), 0);
    const auto theirs = [&](int peer) { return block(in, out.bytes(), peer); };
    const auto from_root = [&](int peer) { return peer == root ? mine : Bytes(); };
    group_->exchange(running, signature, rank() == root ? links(theirs, nowhere) : links(nothing, from_root));
    if (rank() == root) copy(mine, theirs(root));
  });
}

Work MpiBackend::send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from, const Call& call) {
  return guarded(call, [&](const Running& running) { group_->exchange(running, in, to, out, from); });
}

Work MpiBackend::barrier(const Call& call) {
  return run(call, make_signature(call, 0, DType::u8),
             [&](const Running& running, const Signature& signature) {
               group_->exchange(running, signature, links(nothing, nowhere));
             });
}

std::unique_ptr<Backend> MpiBackend::split(int color, int key, const Call& call) {
  std::unique_ptr<Backend> result;
  run(call, make_signature(call, 0, DType::i32), [&](const Running& running, const Signature& signature) {
    // MPI takes no negative colour: the first rank of a colour stands for it.
    std::vector<int> colors(static_cast<std::size_t>(size()), color);
    const auto mine = std::as_bytes(std::span(&color, 1));
    group_->exchange(running, signature,
                     links([&](int) { return mine; },
                           [&](int peer) { return block(BufferView(colors), sizeof color, peer); }));
    const auto first = std::find(colors.begin(), colors.end(), color) - colors.begin();
    auto options = options_;
    options.timeout = call.timeout;
    const auto form = [session = group_->session(), whole = group_->comm(), first, key, options] {
      MPI_Comm comm;
      check_mpi(MPI_Comm_split(whole, static_cast<int>(first), key, &comm), "MPI_Comm_split");
      auto backend = make_mpi_backend(session, comm, options);
      MPI_Comm_free(&comm);
      return backend;
    };
    // All have met, so there is nobody to wait for, but a rank may still be lost; and MPI_Comm_split knows no deadline.
    result = group_->session()->threaded() ? group_->in_time(running, form) : form();
  }).wait();
  return result;
}

}  // namespace tutti::comm
