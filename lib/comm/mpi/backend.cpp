#include "comm/mpi/backend.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "comm/mpi/reduce.h"

namespace tutti::comm {
namespace {

const std::byte* at(ConstBufferView view, std::size_t block, int index) {
  return static_cast<const std::byte*>(view.data) + block * static_cast<std::size_t>(index);
}

std::byte* at(BufferView view, std::size_t block, int index) {
  return static_cast<std::byte*>(view.data) + block * static_cast<std::size_t>(index);
}

void copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (to != from && bytes > 0) std::memcpy(to, from, bytes);
}

Signature reducing(Signature signature, ReduceOp op) {
  signature.op = static_cast<std::uint8_t>(op);
  return signature;
}

Signature rooted(Signature signature, int root) {
  signature.root = root;
  return signature;
}

// Sends `block` bytes from `in` to every other rank, and takes as many from each into `out`; an empty view
// stands for "none". `spread`: a block of `in` for each rank, and not one for all.
void exchange(MpiGroup& group, const Running& running, ConstBufferView in, BufferView out, std::size_t block,
              bool spread) {
  if (block == 0) return;
  auto messages = group.requests();
  for (int step = 1; step < group.size() && out.count > 0; ++step) {
    const int from = (group.rank() + group.size() - step) % group.size();
    messages.receive(at(out, block, from), block, from, MpiGroup::data_tag);
  }
  for (int step = 1; step < group.size() && in.count > 0; ++step) {
    const int to = (group.rank() + step) % group.size();
    messages.send(at(in, block, spread ? to : 0), block, to, MpiGroup::data_tag);
  }
  if (in.count > 0 && out.count > 0)
    copy(at(out, block, group.rank()), at(in, block, spread ? group.rank() : 0), block);
  group.finish(messages, running);
}

void transfer(MpiGroup& group, const Running& running, ConstBufferView in, BufferView out, int peer) {
  auto messages = group.requests();
  if (in.count > 0) messages.send(in.data, in.bytes(), peer, MpiGroup::data_tag);
  if (out.count > 0) messages.receive(out.data, out.bytes(), peer, MpiGroup::data_tag);
  group.finish(messages, running);
}

}  // namespace

template <typename Body>
Work MpiBackend::run(const Call& call, Body body) {
  const Running running(call);
  group_->check_alive(running);
  try {
    body(*group_, running);
  } catch (const std::exception& error) {
    group_->fail(error.what());
    throw;
  }
  return {};
}

Work MpiBackend::all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  return run(call, [&](MpiGroup& group, const Running& running) {
    group.meet(running, reducing(make_signature(call, out.count, out.dtype), op));
    mpi_all_reduce(group, running, in, out, op);
  });
}

Work MpiBackend::reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  return run(call, [&](MpiGroup& group, const Running& running) {
    group.meet(running, reducing(make_signature(call, out.count, out.dtype), op));
    mpi_reduce_scatter(group, running, in, out, op);
  });
}

Work MpiBackend::all_gather(ConstBufferView in, BufferView out, const Call& call) {
  return run(call, [&](MpiGroup& group, const Running& running) {
    group.meet(running, make_signature(call, in.count, in.dtype));
    exchange(group, running, in, out, in.bytes(), false);
  });
}

Work MpiBackend::broadcast(BufferView buffer, int root, const Call& call) {
  return run(call, [&](MpiGroup& group, const Running& running) {
    group.meet(running, rooted(make_signature(call, buffer.count, buffer.dtype), root));
    if (group.rank() == root) {
      exchange(group, running, buffer, {}, buffer.bytes(), false);
    } else {
      transfer(group, running, {}, buffer, root);
    }
  });
}

Work MpiBackend::all_to_all(ConstBufferView in, BufferView out, const Call& call) {
  return run(call, [&](MpiGroup& group, const Running& running) {
    const auto ranks = static_cast<std::size_t>(group.size());
    group.meet(running, make_signature(call, in.count / ranks, in.dtype));
    exchange(group, running, in, out, in.bytes() / ranks, true);
  });
}

Work MpiBackend::gather(ConstBufferView in, BufferView out, int root, const Call& call) {
  return run(call, [&](MpiGroup& group, const Running& running) {
    group.meet(running, rooted(make_signature(call, in.count, in.dtype), root));
    if (group.rank() == root) {
      copy(at(out, in.bytes(), root), at(in, 0, 0), in.bytes());
      exchange(group, running, {}, out, in.bytes(), false);
    } else {
      transfer(group, running, in, {}, root);
    }
  });
}

Work MpiBackend::scatter(ConstBufferView in, BufferView out, int root, const Call& call) {
  return run(call, [&](MpiGroup& group, const Running& running) {
    group.meet(running, rooted(make_signature(call, out.count, out.dtype), root));
    if (group.rank() == root) {
      copy(at(out, 0, 0), at(in, out.bytes(), root), out.bytes());
      exchange(group, running, in, {}, out.bytes(), true);
    } else {
      transfer(group, running, {}, out, root);
    }
  });
}

Work MpiBackend::send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from, const Call& call) {
  return run(call, [&](MpiGroup& group, const Running& running) {
    group.meet(running, in, to, out, from);
    auto messages = group.requests();
    if (out.count > 0) messages.receive(out.data, out.bytes(), from.rank, MpiGroup::data_tag);
    if (in.count > 0) messages.send(in.data, in.bytes(), to.rank, MpiGroup::data_tag);
    group.finish(messages, running);
  });
}

Work MpiBackend::barrier(const Call& call) {
  return run(call, [&](MpiGroup& group, const Running& running) {
    group.meet(running, make_signature(call, 0, DType::u8));
  });
}

std::unique_ptr<Backend> MpiBackend::split(int color, int key, const Call& call) {
  std::unique_ptr<Backend> result;
  run(call, [&](MpiGroup& group, const Running& running) {
    group.meet(running, make_signature(call, 0, DType::i32));
    // MPI takes no negative colour: the first rank of a colour stands for it.
    std::vector<int> colors(static_cast<std::size_t>(group.size()));
    exchange(group, running, std::span(&color, 1), colors, sizeof color, false);
    const auto first = std::find(colors.begin(), colors.end(), color) - colors.begin();
    // All have met, so that MPI_Comm_split has nobody to wait for.
    MPI_Comm comm;
    check_mpi(MPI_Comm_split(group.comm(), static_cast<int>(first), key, &comm), "MPI_Comm_split");
    result = std::make_unique<MpiBackend>(std::make_unique<MpiGroup>(group.session(), comm));
    MPI_Comm_free(&comm);
  }).wait();
  return result;
}

}  // namespace tutti::comm
