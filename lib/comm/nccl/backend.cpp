#include "comm/nccl/backend.h"

#include <fmt/format.h>

#include "comm/nccl/batch.h"
#include "comm/nccl/reduce.h"
#include "comm/nccl/types.h"
#include "comm/nccl/work.h"
#include "kernels/combine.h"
#include "kernels/cuda/stream.h"
#include "kernels/launch.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

const std::byte* at(ConstBufferView view, std::size_t block, int index) {
  return static_cast<const std::byte*>(view.data) + block * static_cast<std::size_t>(index);
}

std::byte* at(BufferView view, std::size_t block, int index) {
  return static_cast<std::byte*>(view.data) + block * static_cast<std::size_t>(index);
}

}  // namespace

std::unique_ptr<Backend> make_nccl_backend(std::shared_ptr<Backend> cpu, Device gpu,
                                           const Backend::Call& call) {
  const kernels::CurrentGpu current(gpu);
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    kernels::Combine::load_cuda(dtype, static_cast<std::size_t>(cpu->size()));
  }
  return std::make_unique<NcclBackend>(std::make_shared<NcclGroup>(std::move(cpu), gpu, NcclCall(call)));
}

template <typename Body>
Work NcclBackend::on_cpu(Body body) {
  try {
    return body(group_->cpu());
  } catch (const CommError& error) {
    group_->abort(error.what());
    throw;
  }
}

template <typename Body>
Work NcclBackend::on_gpu(const Call& call, Body body) {
  const kernels::CurrentGpu current(group_->gpu());
  const NcclCall running(call);
  group_->check(running);
  try {
    GpuEvent(call.stream ? static_cast<cudaStream_t>(call.stream) : kernels::current_stream())
        .hold(group_->stream());
    body(running);
    return Work(std::make_unique<NcclWork>(group_, running));
  } catch (const CommError&) {
    throw;
  } catch (const std::exception& error) {
    group_->fail(running, error.what());  // the peers may be in the midst of it
  }
}

template <typename Body>
Work NcclBackend::exchange(const Call& call, Body body) {
  return on_gpu(call, [&](const NcclCall& running) {
    group_->issue(running, [&](ncclComm_t comm) {
      Batch batch(comm, group_->stream());
      body(batch);
      return batch.end();
    });
  });
}

bool NcclBackend::by_tree(const Call& call, DType dtype) const {
  // Integers give the same in any order; and NCCL's minimum of floats would lose a NaN.
  if (call.order == ReduceOrder::any || !is_floating_point(dtype) || size() == 1) return false;
  constexpr auto most = static_cast<int>(kernels::Combine::most_cuda_inputs);
  if (size() > most) {
    throw ConfigError(
        fmt::format("{}: over NCCL at most {} ranks sum in tree order, there are {}: set "
                    "Options::order to ReduceOrder::any",
                    call.name, most, size()));
  }
  return true;
}

Work NcclBackend::all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  if (out.device.is_cpu()) return on_cpu([&](Backend& cpu) { return cpu.all_reduce(in, out, op, call); });
  const bool tree = by_tree(call, out.dtype);
  return on_gpu(call, [&](const NcclCall& running) {
    if (tree) return nccl_tree_all_reduce(*group_, running, in, out, op);
    group_->issue(running, [&](ncclComm_t comm) {
      return ncclAllReduce(in.data, out.data, out.count, nccl_type(out.dtype), nccl_op(op, out.dtype), comm,
                           group_->stream());
    });
  });
}

Work NcclBackend::reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  if (out.device.is_cpu()) return on_cpu([&](Backend& cpu) { return cpu.reduce_scatter(in, out, op, call); });
  const bool tree = by_tree(call, out.dtype);
  return on_gpu(call, [&](const NcclCall& running) {
    if (tree) return nccl_tree_reduce_scatter(*group_, running, in, out, op);
    group_->issue(running, [&](ncclComm_t comm) {
      return ncclReduceScatter(in.data, out.data, out.count, nccl_type(out.dtype), nccl_op(op, out.dtype),
                               comm, group_->stream());
    });
  });
}

Work NcclBackend::all_gather(ConstBufferView in, BufferView out, const Call& call) {
  if (out.device.is_cpu()) return on_cpu([&](Backend& cpu) { return cpu.all_gather(in, out, call); });
  return on_gpu(call, [&](const NcclCall& running) {
    group_->issue(running, [&](ncclComm_t comm) {
      return ncclAllGather(in.data, out.data, in.bytes(), ncclUint8, comm, group_->stream());
    });
  });
}

Work NcclBackend::broadcast(BufferView buffer, int root, const Call& call) {
  if (buffer.device.is_cpu()) return on_cpu([&](Backend& cpu) { return cpu.broadcast(buffer, root, call); });
  return on_gpu(call, [&](const NcclCall& running) {
    group_->issue(running, [&](ncclComm_t comm) {
      return ncclBroadcast(buffer.data, buffer.data, buffer.bytes(), ncclUint8, root, comm, group_->stream());
    });
  });
}

Work NcclBackend::all_to_all(ConstBufferView in, BufferView out, const Call& call) {
  if (out.device.is_cpu()) return on_cpu([&](Backend& cpu) { return cpu.all_to_all(in, out, call); });
  const std::size_t block = in.bytes() / static_cast<std::size_t>(size());
  return exchange(call, [&](Batch& batch) {
    for (int peer = 0; peer < size(); ++peer) {
      batch.send(at(in, block, peer), block, peer);
      batch.receive(at(out, block, peer), block, peer);
    }
  });
}

Work NcclBackend::gather(ConstBufferView in, BufferView out, int root, const Call& call) {
  if (in.device.is_cpu()) return on_cpu([&](Backend& cpu) { return cpu.gather(in, out, root, call); });
  return exchange(call, [&](Batch& batch) {
    batch.send(in.data, in.bytes(), root);
    for (int peer = 0; peer < size() && rank() == root; ++peer) {
      batch.receive(at(out, in.bytes(), peer), in.bytes(), peer);
    }
  });
}

Work NcclBackend::scatter(ConstBufferView in, BufferView out, int root, const Call& call) {
  if (out.device.is_cpu()) return on_cpu([&](Backend& cpu) { return cpu.scatter(in, out, root, call); });
  return exchange(call, [&](Batch& batch) {
    for (int peer = 0; peer < size() && rank() == root; ++peer) {
      batch.send(at(in, out.bytes(), peer), out.bytes(), peer);
    }
    batch.receive(out.data, out.bytes(), root);
  });
}

Work NcclBackend::send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from,
                            const Call& call) {
  const Device device = to.rank >= 0 ? in.device : out.device;
  if (device.is_cpu()) return on_cpu([&](Backend& cpu) { return cpu.send_recv(in, to, out, from, call); });
  return exchange(call, [&](Batch& batch) {
    batch.send(in.data, in.bytes(), to.rank);
    batch.receive(out.data, out.bytes(), from.rank);
  });
}

Work NcclBackend::barrier(const Call& call) {
  return on_cpu([&](Backend& cpu) { return cpu.barrier(call); });
}

std::unique_ptr<Backend> NcclBackend::split(int color, int key, const Call& call) {
  std::unique_ptr<Backend> part;
  on_cpu([&](Backend& cpu) {
    part = make_nccl_backend(cpu.split(color, key, call), group_->gpu(), call);
    return Work();
  }).wait();
  return part;
}

// Of those that the CPU's engine finds alive.
std::unique_ptr<Backend> NcclBackend::shrink(const Call& call) {
  return make_nccl_backend(group_->cpu().shrink(call), group_->gpu(), call);
}

}  // namespace tutti::comm
