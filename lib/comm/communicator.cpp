#include "tutti/comm/communicator.h"

#include <fmt/format.h>

#include "comm/check.h"
#include "comm/self/self.h"
#include "tutti/core/error.h"

namespace tutti {

using namespace comm;

Communicator::Communicator(std::unique_ptr<Backend> backend)
    : backend_(std::move(backend)),
      sent_(static_cast<std::size_t>(backend_->size())),
      received_(static_cast<std::size_t>(backend_->size())) {}
Communicator::Communicator() : Communicator(make_self_backend()) {}
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;

int Communicator::rank() const { return backend_->rank(); }
int Communicator::size() const { return backend_->size(); }
std::string_view Communicator::backend() const { return backend_->name(); }

Backend::Call Communicator::call(const char* name, const Options& options) {
  return {name, ++sequence_, options.timeout.value_or(timeout_), options.stream};
}

Backend::Call Communicator::message(const char* name, std::uint64_t& count, const Options& options) {
  return {name, ++count, options.timeout.value_or(timeout_), options.stream};
}

Work Communicator::all_reduce_async(BufferView buffer, ReduceOp op, const Options& options) {
  return all_reduce_async(buffer, buffer, op, options);
}

Work Communicator::all_reduce_async(ConstBufferView in, BufferView out, ReduceOp op, const Options& options) {
  constexpr auto name = "all_reduce";
  check_buffer(name, "in", in);
  check_buffer(name, "out", out);
  check_same_dtype(name, in, out);
  check_same_count(name, in, out);
  check_op(name, op, in.dtype);
  if (in.data != out.data) check_no_overlap(name, in, out);
  return backend_->all_reduce(in, out, op, call(name, options));
}

void Communicator::all_reduce(BufferView buffer, ReduceOp op, const Options& options) {
  all_reduce_async(buffer, op, options).wait();
}

void Communicator::all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Options& options) {
  all_reduce_async(in, out, op, options).wait();
}

void Communicator::reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Options& options) {
  constexpr auto name = "reduce_scatter";
  check_buffer(name, "in", in);
  check_buffer(name, "out", out);
  check_same_dtype(name, in, out);
  check_blocks(name, "in", in, "out", out, size());
  check_op(name, op, in.dtype);
  check_no_overlap(name, in, out);
  backend_->reduce_scatter(in, out, op, call(name, options)).wait();
}

void Communicator::all_gather(ConstBufferView in, BufferView out, const Options& options) {
  constexpr auto name = "all_gather";
  check_buffer(name, "in", in);
  check_buffer(name, "out", out);
  check_same_dtype(name, in, out);
  check_blocks(name, "out", out, "in", in, size());
  check_no_overlap(name, in, out);
  backend_->all_gather(in, out, call(name, options)).wait();
}

void Communicator::all_gather(BufferView buffer, const Options& options) {
  constexpr auto name = "all_gather";
  check_buffer(name, "buffer", buffer);
  check_divisible(name, "buffer", buffer, size());
  const std::size_t count = buffer.count / static_cast<std::size_t>(size());
  const std::size_t offset = static_cast<std::size_t>(rank()) * count * size_of(buffer.dtype);
  const ConstBufferView mine(static_cast<const std::byte*>(buffer.data) + offset, count, buffer.dtype);
  backend_->all_gather(mine, buffer, call(name, options)).wait();
}

void Communicator::broadcast(BufferView buffer, int root, const Options& options) {
  constexpr auto name = "broadcast";
  check_buffer(name, "buffer", buffer);
  check_rank(name, "root", root, size());
  backend_->broadcast(buffer, root, call(name, options)).wait();
}

void Communicator::all_to_all(ConstBufferView in, BufferView out, const Options& options) {
  constexpr auto name = "all_to_all";
  check_buffer(name, "in", in);
  check_buffer(name, "out", out);
  check_same_dtype(name, in, out);
  check_same_count(name, in, out);
  check_divisible(name, "in", in, size());
  check_no_overlap(name, in, out);
  backend_->all_to_all(in, out, call(name, options)).wait();
}

void Communicator::gather(ConstBufferView in, BufferView out, int root, const Options& options) {
  constexpr auto name = "gather";
  check_buffer(name, "in", in);
  check_rank(name, "root", root, size());
  if (rank() == root) {
    check_buffer(name, "out", out);
    check_same_dtype(name, in, out);
    check_blocks(name, "out", out, "in", in, size());
    check_no_overlap(name, in, out);
  } else {
    out = BufferView(nullptr, 0, in.dtype);
  }
  backend_->gather(in, out, root, call(name, options)).wait();
}

void Communicator::scatter(ConstBufferView in, BufferView out, int root, const Options& options) {
  constexpr auto name = "scatter";
  check_buffer(name, "out", out);
  check_rank(name, "root", root, size());
  if (rank() == root) {
    check_buffer(name, "in", in);
    check_same_dtype(name, in, out);
    check_blocks(name, "in", in, "out", out, size());
    check_no_overlap(name, in, out);
  } else {
    in = ConstBufferView(nullptr, 0, out.dtype);
  }
  backend_->scatter(in, out, root, call(name, options)).wait();
}

void Communicator::send(ConstBufferView in, int to, const Options& options) {
  constexpr auto name = "send";
  check_buffer(name, "in", in);
  check_rank(name, "to", to, size());
  if (to == rank()) throw ShapeError(fmt::format("send: `to` must be another rank, {} is this one", to));
  backend_->send(in, to, message(name, sent_[static_cast<std::size_t>(to)], options)).wait();
}

void Communicator::recv(BufferView out, int from, const Options& options) {
  constexpr auto name = "recv";
  check_buffer(name, "out", out);
  check_rank(name, "from", from, size());
  if (from == rank())
    throw ShapeError(fmt::format("recv: `from` must be another rank, {} is this one", from));
  backend_->recv(out, from, message(name, received_[static_cast<std::size_t>(from)], options)).wait();
}

void Communicator::barrier(const Options& options) { backend_->barrier(call("barrier", options)).wait(); }

Communicator Communicator::split(int color, int key, const Options& options) {
  Communicator group(backend_->split(color, key, call("split", options)));
  group.set_timeout(timeout_);
  return group;
}

std::shared_ptr<void> Communicator::allocate(std::size_t bytes) { return backend_->allocate(bytes); }

void Communicator::abort(std::string_view reason) { backend_->abort(reason); }

}  // namespace tutti
