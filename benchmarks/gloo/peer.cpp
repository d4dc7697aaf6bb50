#include "benchmarks/peer.h"

#include <fmt/format.h>
#include <gloo/allreduce.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>

#include <array>
#include <cstring>
#include <optional>

#include "benchmarks/temporary.h"
#include "tutti/core/error.h"

namespace tutti::bench {
namespace {

using Reduction = void (*)(void*, const void*, const void*, std::size_t);

template <typename T>
Reduction reduction_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      return gloo::sum<T>;
    case ReduceOp::min:
      return gloo::min<T>;
    case ReduceOp::max:
      return gloo::max<T>;
    case ReduceOp::prod:
      return gloo::product<T>;
    default:
      throw ConfigError(fmt::format("--vs gloo: Gloo has no {}", name_of(op)));
  }
}

template <typename T>
std::function<void(const Operands&)> all_reduce_of(std::shared_ptr<gloo::Context> context, ReduceOp op) {
  return [context, reduction = reduction_of<T>(op)](const Operands& operands) {
    gloo::AllreduceOptions options(context);
    if (!operands.in_place) options.setInput(static_cast<T*>(operands.in.data), operands.in.count);
    options.setOutput(static_cast<T*>(operands.out.data), operands.out.count);
    options.setReduceFunction(reduction);
    gloo::allreduce(options);
  };
}

std::function<void(const Operands&)> call_of(const std::shared_ptr<gloo::Context>& context, DType dtype,
                                             ReduceOp op) {
  switch (dtype) {
    case DType::f32:
      return all_reduce_of<float>(context, op);
    case DType::f64:
      return all_reduce_of<double>(context, op);
    case DType::i32:
      return all_reduce_of<std::int32_t>(context, op);
    case DType::i64:
      return all_reduce_of<std::int64_t>(context, op);
    case DType::u8:
      return all_reduce_of<std::uint8_t>(context, op);
    default:
      throw ConfigError(fmt::format("--vs gloo: Gloo has no {}", name_of(dtype)));
  }
}

}  // namespace

Peer gloo_peer(Communicator& comm, const Collective& collective, const Settings& settings) {
  if (&collective != &all_reduce) throw ConfigError("--vs gloo measures all_reduce, and no other collective");
  auto context = std::make_shared<gloo::rendezvous::Context>(comm.rank(), comm.size());
  auto call = call_of(context, settings.dtype, settings.op);

  // The ranks find each other through files in a directory of rank 0.
  std::optional<TemporaryDirectory> directory;
  std::array<std::uint8_t, 4096> path{};
  if (comm.rank() == 0)
    std::strncpy(reinterpret_cast<char*>(path.data()), directory.emplace().path().c_str(), path.size() - 1);
  comm.broadcast(path, 0);
  gloo::rendezvous::FileStore store(reinterpret_cast<const char*>(path.data()));
  std::shared_ptr<gloo::transport::Device> device = gloo::transport::tcp::CreateDevice("127.0.0.1");
  context->connectFullMesh(store, device);
  comm.barrier();
  return {"Gloo (TCP)", std::move(call), context};
}

}  // namespace tutti::bench
