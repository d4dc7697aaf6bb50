// The collectives: their checks, and the two ways to run them.
#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "comm/check.h"
#include "comm/executor.h"
#include "tutti/comm/communicator.h"
#include "tutti/core/error.h"

namespace tutti {

using namespace comm;

namespace {

// A call that has passed its checks, for as long as its views live. `body(in, out, call)` makes it. The views are not
// copied on the blocking way: what was written in pieces and is read as a whole at once costs tens of nanoseconds.
template <typename Body>
struct Checked {
  Executor& executor;
  const ConstBufferView& in;
  const BufferView& out;
  Blocks blocks;
  Backend::Call call;
  Summary summary;
  Body body;

  void run() const {
    if (executor.stages(device())) return run_staged();
    executor.run(call, summary, [this] { return body(in, out, call); });
  }
  Work start() const {
    if (executor.stages(device())) return start_staged();
    return executor.start(call, summary,
                          [body = body, in = in, out = out, call = call] { return body(in, out, call); });
  }

 private:
  Device device() const { return in.device.is_cpu() ? out.device : in.device; }

  void run_staged() const {
    const auto ready = Staging::mark(device(), call);
    executor.run(call, summary, [&] {
      executor.staging().run(device(), blocks, in, out, call, ready, body);
      return Work();
    });
  }
  Work start_staged() const {
    return executor.start(call, summary,
                          [&executor = executor, gpu = device(), ready = Staging::mark(device(), call),
                           blocks = blocks, body = body, in = in, out = out, call = call] {
                            executor.staging().run(gpu, blocks, in, out, call, ready, body);
                            return Work();
                          });
  }
};

// For what a rank's argument does not matter.
BufferView nothing_like(View other) { return {nullptr, 0, other.dtype, other.device}; }

}  // namespace

// Each collective: its checks, then its call.
struct Communicator::Calls {
  Communicator& comm;
  Backend* backend = &comm.executor_->backend();
  ConstBufferView no_input{};
  BufferView none{};

  template <typename Body>
  Checked<Body> checked(const char* name, const ConstBufferView& in, const BufferView& out,
                        const Blocks& blocks, const Options& options, const Summary& summary,
                        Body body) const {
    return {*comm.executor_, in, out, blocks, comm.call(name, options), summary, body};
  }
  std::size_t ranks() const { return static_cast<std::size_t>(comm.size()); }

  auto all_reduce(View in, const BufferView& out, ReduceOp op, const Options& options) const {
    constexpr auto name = "all_reduce";
    check_buffer(*backend, name, "in", in);
    check_buffer(*backend, name, "out", out);
    check_alike(name, in, out);
    check_same_count(name, in, out);
    check_op(name, op, in.dtype);
    if (in.data != out.data) check_no_overlap(name, in, out);
    return checked(name, in, out, Blocks::in_place(), options, {in.dtype, in.bytes()},
                   [b = backend, op](View in, const BufferView& out, const Backend::Call& call) {
                     return b->all_reduce(in, out, op, call);
                   });
  }

  auto reduce_scatter(View in, const BufferView& out, ReduceOp op, const Options& options) const {
    constexpr auto name = "reduce_scatter";
    check_buffer(*backend, name, "in", in);
    check_buffer(*backend, name, "out", out);
    check_alike(name, in, out);
    check_blocks(name, "in", in, "out", out, comm.size());
    check_op(name, op, in.dtype);
    check_no_overlap(name, in, out);
    return checked(name, in, out, {ranks(), 1, ranks()}, options, {in.dtype, in.bytes()},
                   [b = backend, op](View in, const BufferView& out, const Backend::Call& call) {
                     return b->reduce_scatter(in, out, op, call);
                   });
  }

  auto gather_all(View in, const BufferView& out, const Options& options) const {
    return checked("all_gather", in, out, {1, ranks(), ranks(), comm.rank()}, options,
                   {out.dtype, out.bytes()},
                   [b = backend](View in, const BufferView& out, const Backend::Call& call) {
                     return b->all_gather(in, out, call);
                   });
  }

  // This rank's part of what is gathered in place.
  ConstBufferView own_block(const BufferView& buffer) const {
    constexpr auto name = "all_gather";
    check_buffer(*backend, name, "buffer", buffer);
    check_divisible(name, "buffer", buffer, comm.size());
    const std::size_t count = buffer.count / static_cast<std::size_t>(comm.size());
    const std::size_t offset = static_cast<std::size_t>(comm.rank()) * count * size_of(buffer.dtype);
    return {static_cast<const std::byte*>(buffer.data) + offset, count, buffer.dtype, buffer.device};
  }

  auto all_gather(View in, const BufferView& out, const Options& options) const {
    constexpr auto name = "all_gather";
    check_buffer(*backend, name, "in", in);
    check_buffer(*backend, name, "out", out);
    check_alike(name, in, out);
    check_blocks(name, "out", out, "in", in, comm.size());
    check_no_overlap(name, in, out);
    return gather_all(in, out, options);
  }

  auto broadcast(View in, const BufferView& buffer, int root, const Options& options) const {
    constexpr auto name = "broadcast";
    check_buffer(*backend, name, "buffer", buffer);
    check_rank(name, "root", root, comm.size());
    return checked(name, in, buffer, Blocks::in_place(comm.rank() == root, comm.rank() != root), options,
                   {buffer.dtype, buffer.bytes(), root},
                   [b = backend, root](View, const BufferView& buffer, const Backend::Call& call) {
                     return b->broadcast(buffer, root, call);
                   });
  }

  auto all_to_all(View in, const BufferView& out, const Options& options) const {
    constexpr auto name = "all_to_all";
    check_buffer(*backend, name, "in", in);
    check_buffer(*backend, name, "out", out);
    check_alike(name, in, out);
    check_same_count(name, in, out);
    check_divisible(name, "in", in, comm.size());
    check_no_overlap(name, in, out);
    return checked(name, in, out, {ranks(), ranks(), ranks()}, options, {in.dtype, in.bytes()},
                   [b = backend](View in, const BufferView& out, const Backend::Call& call) {
                     return b->all_to_all(in, out, call);
                   });
  }

  auto gather(View in, const BufferView& out, int root, const Options& options) const {
    constexpr auto name = "gather";
    check_buffer(*backend, name, "in", in);
    check_rank(name, "root", root, comm.size());
    if (comm.rank() == root) {
      check_buffer(*backend, name, "out", out);
      check_alike(name, in, out);
      check_blocks(name, "out", out, "in", in, comm.size());
      check_no_overlap(name, in, out);
    }
    return checked(name, in, out, {1, comm.rank() == root ? ranks() : 0, ranks()}, options,
                   {in.dtype, std::max(in.bytes(), out.bytes()), root},
                   [b = backend, root](View in, const BufferView& out, const Backend::Call& call) {
                     return b->gather(in, out, root, call);
                   });
  }

  auto scatter(View in, const BufferView& out, int root, const Options& options) const {
    constexpr auto name = "scatter";
    check_buffer(*backend, name, "out", out);
    check_rank(name, "root", root, comm.size());
    if (comm.rank() == root) {
      check_buffer(*backend, name, "in", in);
      check_alike(name, in, out);
      check_blocks(name, "in", in, "out", out, comm.size());
      check_no_overlap(name, in, out);
    }
    return checked(name, in, out, {comm.rank() == root ? ranks() : 0, 1, ranks()}, options,
                   {out.dtype, std::max(in.bytes(), out.bytes()), root},
                   [b = backend, root](View in, const BufferView& out, const Backend::Call& call) {
                     return b->scatter(in, out, root, call);
                   });
  }

  auto barrier(const Options& options) const {
    return checked(
        "barrier", no_input, none, {}, options, {},
        [b = backend](View, const BufferView&, const Backend::Call& call) { return b->barrier(call); });
  }

  // Messages are counted on their pairs of ranks, and so take no part in the numbering of collectives.
  void messages(const char* name, ConstBufferView in, int to, BufferView out, int from,
                const Options& options) const {
    Backend::Endpoint receiver, sender;
    if (to >= 0) receiver = comm.endpoint(to, comm.sent_);
    if (from >= 0) sender = comm.endpoint(from, comm.received_);
    const Backend::Call call{name, to >= 0 ? receiver.message : sender.message,
                             options.timeout.value_or(comm.timeout_), options.stream};
    const Blocks whole{to >= 0 ? 1u : 0u, from >= 0 ? 1u : 0u, 1, -1, true, true};
    const auto body = [&](View in, const BufferView& out, const Backend::Call& call) {
      return backend->send_recv(in, receiver, out, sender, call);
    };
    const Summary summary{to >= 0 ? in.dtype : out.dtype, std::max(in.bytes(), out.bytes()),
                          std::max(to, from)};
    Checked<decltype(body)>{*comm.executor_, in, out, whole, call, summary, body}.run();
  }
};

void Communicator::all_reduce(BufferView buffer, ReduceOp op, const Options& options) {
  Calls{*this}.all_reduce(buffer, buffer, op, options).run();
}
void Communicator::all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Options& options) {
  Calls{*this}.all_reduce(in, out, op, options).run();
}
Work Communicator::all_reduce_async(BufferView buffer, ReduceOp op, const Options& options) {
  return Calls{*this}.all_reduce(buffer, buffer, op, options).start();
}
Work Communicator::all_reduce_async(ConstBufferView in, BufferView out, ReduceOp op, const Options& options) {
  return Calls{*this}.all_reduce(in, out, op, options).start();
}

void Communicator::reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Options& options) {
  Calls{*this}.reduce_scatter(in, out, op, options).run();
}
Work Communicator::reduce_scatter_async(ConstBufferView in, BufferView out, ReduceOp op,
                                        const Options& options) {
  return Calls{*this}.reduce_scatter(in, out, op, options).start();
}

void Communicator::all_gather(ConstBufferView in, BufferView out, const Options& options) {
  Calls{*this}.all_gather(in, out, options).run();
}
Work Communicator::all_gather_async(ConstBufferView in, BufferView out, const Options& options) {
  return Calls{*this}.all_gather(in, out, options).start();
}
void Communicator::all_gather(BufferView buffer, const Options& options) {
  const Calls calls{*this};
  calls.gather_all(calls.own_block(buffer), buffer, options).run();
}
Work Communicator::all_gather_async(BufferView buffer, const Options& options) {
  const Calls calls{*this};
  return calls.gather_all(calls.own_block(buffer), buffer, options).start();
}

void Communicator::broadcast(BufferView buffer, int root, const Options& options) {
  Calls{*this}.broadcast(buffer, buffer, root, options).run();
}
Work Communicator::broadcast_async(BufferView buffer, int root, const Options& options) {
  return Calls{*this}.broadcast(buffer, buffer, root, options).start();
}

void Communicator::all_to_all(ConstBufferView in, BufferView out, const Options& options) {
  Calls{*this}.all_to_all(in, out, options).run();
}
Work Communicator::all_to_all_async(ConstBufferView in, BufferView out, const Options& options) {
  return Calls{*this}.all_to_all(in, out, options).start();
}

void Communicator::gather(ConstBufferView in, BufferView out, int root, const Options& options) {
  Calls{*this}.gather(in, rank() == root ? out : nothing_like(in), root, options).run();
}
Work Communicator::gather_async(ConstBufferView in, BufferView out, int root, const Options& options) {
  return Calls{*this}.gather(in, rank() == root ? out : nothing_like(in), root, options).start();
}

void Communicator::scatter(ConstBufferView in, BufferView out, int root, const Options& options) {
  Calls{*this}.scatter(rank() == root ? in : nothing_like(out), out, root, options).run();
}
Work Communicator::scatter_async(ConstBufferView in, BufferView out, int root, const Options& options) {
  return Calls{*this}.scatter(rank() == root ? in : nothing_like(out), out, root, options).start();
}

void Communicator::barrier(const Options& options) { Calls{*this}.barrier(options).run(); }
Work Communicator::barrier_async(const Options& options) { return Calls{*this}.barrier(options).start(); }

void Communicator::send(ConstBufferView in, int to, const Options& options) {
  constexpr auto name = "send";
  check_buffer(executor_->backend(), name, "in", in);
  check_rank(name, "to", to, size());
  if (to == rank()) throw ShapeError(fmt::format("send: `to` must be another rank, {} is this one", to));
  Calls{*this}.messages(name, in, to, {}, -1, options);
}

void Communicator::recv(BufferView out, int from, const Options& options) {
  constexpr auto name = "recv";
  check_buffer(executor_->backend(), name, "out", out);
  check_rank(name, "from", from, size());
  if (from == rank())
    throw ShapeError(fmt::format("recv: `from` must be another rank, {} is this one", from));
  Calls{*this}.messages(name, {}, -1, out, from, options);
}

void Communicator::send_recv(ConstBufferView in, int to, BufferView out, int from, const Options& options) {
  constexpr auto name = "send_recv";
  check_buffer(executor_->backend(), name, "in", in);
  check_buffer(executor_->backend(), name, "out", out);
  check_rank(name, "to", to, size());
  check_rank(name, "from", from, size());
  check_same_device(name, in, out);
  check_no_overlap(name, in, out);
  if ((to == rank()) != (from == rank())) {
    throw ShapeError(fmt::format("send_recv: `to` is {} and `from` is {}: both or none may be this rank, {}",
                                 to, from, rank()));
  }
  if (to == rank()) {
    check_alike(name, in, out);
    check_same_count(name, in, out);
  }
  Calls{*this}.messages(name, in, to, out, from, options);
}

}  // namespace tutti
