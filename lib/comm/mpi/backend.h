// The collectives over MPI.
#pragma once

#include "comm/mpi/queue.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

class MpiBackend : public Backend {
 public:
  explicit MpiBackend(std::shared_ptr<MpiGroup> group)
      : queue_(std::make_shared<MpiQueue>(std::move(group))) {}

  std::string_view name() const override { return "mpi"; }
  int rank() const override { return queue_->group().rank(); }
  int size() const override { return queue_->group().size(); }

  std::unique_ptr<Backend> split(int color, int key, const Call& call) override;
  Work all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work all_gather(ConstBufferView in, BufferView out, const Call& call) override;
  Work broadcast(BufferView buffer, int root, const Call& call) override;
  Work all_to_all(ConstBufferView in, BufferView out, const Call& call) override;
  Work gather(ConstBufferView in, BufferView out, int root, const Call& call) override;
  Work scatter(ConstBufferView in, BufferView out, int root, const Call& call) override;
  Work send(ConstBufferView in, int to, const Call& call) override;
  Work recv(BufferView out, int from, const Call& call) override;
  Work barrier(const Call& call) override;
  void abort(std::string_view reason) override { queue_->group().abort(reason); }

 private:
  std::shared_ptr<MpiQueue> queue_;
};

}  // namespace tutti::comm
