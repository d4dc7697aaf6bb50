// The collectives of GPU buffers over NCCL, and of the CPU's over the back end below it.
#pragma once

#include <memory>

#include "comm/nccl/group.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

// The ranks of `cpu`, each with a GPU of its own. Takes part in one broadcast there.
std::unique_ptr<Backend> make_nccl_backend(std::shared_ptr<Backend> cpu, Device gpu,
                                           const Backend::Call& call);

class NcclBackend final : public Backend {
 public:
  explicit NcclBackend(std::shared_ptr<NcclGroup> group) : group_(std::move(group)) {}

  std::string_view name() const override { return "nccl"; }
  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  // What lies on the CPU is done on return.
  Completion completion() const override { return Completion::on_device; }
  bool takes(Device device) const override { return device.is_cpu() || device == group_->gpu(); }

  std::unique_ptr<Backend> split(int color, int key, const Call& call) override;
  std::unique_ptr<Backend> shrink(const Call& call) override;
  std::shared_ptr<void> allocate(std::size_t bytes) override { return group_->cpu().allocate(bytes); }
  std::shared_ptr<void> allocate_on(Device, std::size_t bytes) override { return group_->allocate(bytes); }

  Work all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work all_gather(ConstBufferView in, BufferView out, const Call& call) override;
  Work broadcast(BufferView buffer, int root, const Call& call) override;
  Work all_to_all(ConstBufferView in, BufferView out, const Call& call) override;
  Work gather(ConstBufferView in, BufferView out, int root, const Call& call) override;
  Work scatter(ConstBufferView in, BufferView out, int root, const Call& call) override;
  Work send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from, const Call& call) override;
  Work barrier(const Call& call) override;
  void abort(std::string_view reason) override { group_->abort(reason); }

 private:
  // Runs `body(cpu)`; where that fails, so does the whole group.
  template <typename Body>
  Work on_cpu(Body body);
  // Runs `body(running)`, which queues work on the group's stream, behind what is on the caller's.
  template <typename Body>
  Work on_gpu(const Call& call, Body body);
  // The same for messages: `body(batch)`.
  template <typename Body>
  Work exchange(const Call& call, Body body);

  // Whether a reduction is Tutti's own work.
  bool by_tree(const Call& call, DType dtype) const;

  std::shared_ptr<NcclGroup> group_;
};

}  // namespace tutti::comm
