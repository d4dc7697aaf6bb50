#include "comm/mpi/one_node.h"

namespace tutti::comm {

template <typename Body>
auto OneNodeBackend::run(Body body) {
  try {
    return body();
  } catch (...) {
    session_->fail();
    throw;
  }
}

std::unique_ptr<Backend> OneNodeBackend::split(int color, int key, const Call& call) {
  return std::make_unique<OneNodeBackend>(session_, run([&] { return node_->split(color, key, call); }));
}

std::unique_ptr<Backend> OneNodeBackend::shrink(const Call& call) {
  return std::make_unique<OneNodeBackend>(session_, run([&] { return node_->shrink(call); }));
}

Work OneNodeBackend::all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  return run([&] { return node_->all_reduce(in, out, op, call); });
}

Work OneNodeBackend::reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  return run([&] { return node_->reduce_scatter(in, out, op, call); });
}

Work OneNodeBackend::all_gather(ConstBufferView in, BufferView out, const Call& call) {
  return run([&] { return node_->all_gather(in, out, call); });
}

Work OneNodeBackend::broadcast(BufferView buffer, int root, const Call& call) {
  return run([&] { return node_->broadcast(buffer, root, call); });
}

Work OneNodeBackend::all_to_all(ConstBufferView in, BufferView out, const Call& call) {
  return run([&] { return node_->all_to_all(in, out, call); });
}

Work OneNodeBackend::gather(ConstBufferView in, BufferView out, int root, const Call& call) {
  return run([&] { return node_->gather(in, out, root, call); });
}

Work OneNodeBackend::scatter(ConstBufferView in, BufferView out, int root, const Call& call) {
  return run([&] { return node_->scatter(in, out, root, call); });
}

Work OneNodeBackend::send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from,
                               const Call& call) {
  return run([&] { return node_->send_recv(in, to, out, from, call); });
}

Work OneNodeBackend::barrier(const Call& call) {
  return run([&] { return node_->barrier(call); });
}

void OneNodeBackend::abort(std::string_view reason) {
  session_->fail();
  node_->abort(reason);
}

}  // namespace tutti::comm
