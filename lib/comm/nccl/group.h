// The ranks of one NCCL communicator: joining, telling NCCL what to do, failing.
#pragma once

#include <nccl.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "comm/nccl/gpu.h"
#include "comm/nccl/running.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

// NCCL is never allowed to block: each call returns at once, and is looked at until its deadline. An error or a
// deadline aborts the communicator, which is what makes NCCL's kernels end; then every call throws.
//
// Everything runs on one stream of the group's own: the application's go on beside it, and none of them is stuck
// behind a collective that waits for a dead rank.
class NcclGroup : public std::enable_shared_from_this<NcclGroup> {
 public:
  static constexpr std::size_t workspace_bytes = std::size_t{64} << 20;

  // Every rank of `cpu` calls it; what NCCL needs to find the others is told over that.
  NcclGroup(std::shared_ptr<Backend> cpu, Device gpu, const NcclCall& running);
  // Waits for what is under way, at most until its deadline.
  ~NcclGroup();
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;

  Backend& cpu() const { return *cpu_; }
  Device gpu() const { return gpu_; }
  int rank() const { return cpu_->rank(); }
  int size() const { return cpu_->size(); }
  cudaStream_t stream() const { return stream_.get(); }

  // Calls `body(comm)`, and waits until NCCL has queued on the stream what it was told. The first time that two
  // ranks exchange something NCCL connects them, and that takes both.
  using Body = std::function<ncclResult_t(ncclComm_t)>;
  void issue(const NcclCall& running, const Body& body);

  // Throws when the group has failed, or NCCL says now that it has.
  void check(const NcclCall& running);
  // Aborts the communicator, tells the peers over the CPU's group, and throws.
  [[noreturn]] void fail(const NcclCall& running, const std::string& text);
  [[noreturn]] void fail_late(const NcclCall& running, std::string_view what);
  // From any thread.
  void abort(std::string_view reason);

  // Memory of the GPU that NCCL knows. `for_kernels`: it is waited for those of others before it goes.
  std::shared_ptr<void> allocate(std::size_t bytes, bool for_kernels = true);
  // `workspace_bytes` of it for the collective under way; the stream keeps those apart.
  std::byte* workspace();

 private:
  struct Failure {
    std::string collective;
    std::uint64_t sequence;
    std::string text;
    int rank;
    bool timeout;
  };

  // With the lock held.
  void end(Failure failure);
  void check_whole(const NcclCall& running) const;
  [[noreturn]] void raise(const NcclCall& running) const;

  void settle(const NcclCall& running, ncclResult_t result);
  ncclResult_t ask(const NcclCall& running);
  std::string explain(ncclResult_t result) const;
  [[noreturn]] void fail(const NcclCall& running, Failure failure);
  void forget(void* memory) noexcept;
  // Whether the stream is empty, at the latest by then.
  bool empty_by(std::chrono::steady_clock::time_point deadline) const;

  std::shared_ptr<Backend> cpu_;
  Device gpu_;
  std::shared_ptr<void> workspace_;
  GpuStream stream_;

  // NCCL lets a communicator be used by one thread at a time, and abort() comes from another.
  mutable std::mutex mutex_;
  ncclComm_t comm_ = nullptr;
  std::unique_ptr<const Failure> failure_;
  std::map<void*, void*> registered_;  // memory to NCCL's handle
  std::chrono::steady_clock::time_point last_deadline_{};
};

}  // namespace tutti::comm
