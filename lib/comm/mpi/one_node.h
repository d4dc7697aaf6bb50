// Ranks that MPI started and that are all on one machine.
#pragma once

#include <memory>
#include <utility>

#include "comm/mpi/session.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

// Shared memory does everything: it is faster, and it sees at once when a rank dies.
class OneNodeBackend final : public Backend {
 public:
  OneNodeBackend(std::shared_ptr<MpiSession> session, std::unique_ptr<Backend> node)
      : session_(std::move(session)), node_(std::move(node)) {}

  std::string_view name() const override { return "mpi"; }
  int rank() const override { return node_->rank(); }
  int size() const override { return node_->size(); }
  Completion completion() const override { return node_->completion(); }
  std::shared_ptr<void> allocate(std::size_t bytes) override { return node_->allocate(bytes); }

  std::unique_ptr<Backend> split(int color, int key, const Call& call) override;
  std::unique_ptr<Backend> shrink(const Call& call) override;
  Work all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work all_gather(ConstBufferView in, BufferView out, const Call& call) override;
  Work broadcast(BufferView buffer, int root, const Call& call) override;
  Work all_to_all(ConstBufferView in, BufferView out, const Call& call) override;
  Work gather(ConstBufferView in, BufferView out, int root, const Call& call) override;
  Work scatter(ConstBufferView in, BufferView out, int root, const Call& call) override;
  Work send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from, const Call& call) override;
  Work barrier(const Call& call) override;
  void abort(std::string_view reason) override;

 private:
  // Whatever `body()` throws, MPI cannot be finalised together any more.
  template <typename Body>
  auto run(Body body);

  std::shared_ptr<MpiSession> session_;
  std::unique_ptr<Backend> node_;
};

}  // namespace tutti::comm
