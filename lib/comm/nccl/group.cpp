#include "comm/nccl/group.h"

#include <fmt/format.h>

#include <utility>

#include "kernels/launch.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

constexpr std::chrono::seconds farewell(10);  // how long NCCL and the GPU may take to end

bool bad(ncclResult_t result) { return result != ncclSuccess && result != ncclInProgress; }

}  // namespace

NcclGroup::NcclGroup(std::shared_ptr<Backend> cpu, Device gpu, const NcclCall& running)
    : cpu_(std::move(cpu)), gpu_(gpu) {
  ncclUniqueId id{};
  ncclResult_t result = rank() == 0 ? ncclGetUniqueId(&id) : ncclSuccess;
  if (bad(result)) fail(running, explain(result));
  cpu_->broadcast({&id, sizeof id, DType::u8}, 0, running.call).wait();
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  {
    std::scoped_lock lock(mutex_);
    result = ncclCommInitRankConfig(&comm_, size(), id, rank(), &config);
  }
  settle(running, result);
}

NcclGroup::~NcclGroup() {
  std::scoped_lock lock(mutex_);
  if (!comm_) return;
  if (!empty_by(last_deadline_)) {
    ncclCommAbort(comm_);
    return;
  }
  for (const auto& [memory, handle] : registered_) ncclCommDeregister(comm_, handle);
  ncclResult_t result = ncclCommFinalize(comm_);
  Pauses pauses;
  for (const auto last = deadline_after(farewell);
       result == ncclInProgress && std::chrono::steady_clock::now() < last; pauses.pause()) {
    if (ncclCommGetAsyncError(comm_, &result) != ncclSuccess) break;
  }
  if (result == ncclSuccess) {
    ncclCommDestroy(comm_);
  } else {
    ncclCommAbort(comm_);
  }
}

bool NcclGroup::empty_by(std::chrono::steady_clock::time_point deadline) const {
  Pauses pauses;
  cudaError_t status = cudaStreamQuery(stream());
  for (; status == cudaErrorNotReady && std::chrono::steady_clock::now() < deadline; pauses.pause()) {
    status = cudaStreamQuery(stream());
  }
  return status == cudaSuccess;
}

void NcclGroup::issue(const NcclCall& running, const Body& body) {
  ncclResult_t result;
  {
    std::scoped_lock lock(mutex_);
    check_whole(running);
    last_deadline_ = std::max(last_deadline_, running.deadline);
    result = body(comm_);
  }
  settle(running, result);
}

void NcclGroup::settle(const NcclCall& running, ncclResult_t result) {
  Pauses pauses;
  while (result == ncclInProgress) {
    if (running.late()) fail_late(running, "NCCL has not connected its peers");
    pauses.pause();
    result = ask(running);
  }
  if (bad(result)) fail(running, explain(result));
}

void NcclGroup::check(const NcclCall& running) {
  const ncclResult_t result = ask(running);
  if (bad(result)) fail(running, explain(result));
}

ncclResult_t NcclGroup::ask(const NcclCall& running) {
  std::scoped_lock lock(mutex_);
  check_whole(running);
  ncclResult_t result = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(comm_, &result);
  return bad(asked) ? asked : result;
}

std::string NcclGroup::explain(ncclResult_t result) const {
  std::scoped_lock lock(mutex_);
  const std::string_view more = comm_ ? ncclGetLastError(comm_) : "";
  return fmt::format("NCCL: {}{}{}", ncclGetErrorString(result), more.empty() ? "" : ": ", more);
}

void NcclGroup::fail(const NcclCall& running, const std::string& text) {
  fail(running, {running.call.name, running.call.sequence, text, -1, false});
}

void NcclGroup::fail_late(const NcclCall& running, std::string_view what) {
  fail(running, {running.call.name, running.call.sequence,
                 fmt::format("{} within {} ms; it does not tell which rank is missing", what,
                             running.call.timeout.count()),
                 -1, true});
}

void NcclGroup::fail(const NcclCall& running, Failure failure) {
  const std::string reason = fmt::format("{} #{}: {}", failure.collective, failure.sequence, failure.text);
  {
    std::scoped_lock lock(mutex_);
    end(std::move(failure));
  }
  cpu_->abort(reason);
  std::scoped_lock lock(mutex_);
  raise(running);
}

void NcclGroup::abort(std::string_view reason) {
  {
    std::scoped_lock lock(mutex_);
    end({"abort", 0, fmt::format("rank {} aborted the group: {}", rank(), reason), rank(), false});
  }
  cpu_->abort(reason);
}

// The first failure stays.
void NcclGroup::end(Failure failure) {
  if (failure_) return;
  failure_ = std::make_unique<const Failure>(std::move(failure));
  const kernels::CurrentGpu current(gpu_);
  if (!comm_) return;
  ncclCommAbort(std::exchange(comm_, nullptr));
  // What is queued behind NCCL's kernels still runs. The buffers are the caller's only when it has.
  empty_by(deadline_after(farewell));
}

void NcclGroup::check_whole(const NcclCall& running) const {
  if (failure_) raise(running);
}

void NcclGroup::raise(const NcclCall& running) const {
  const auto& [name, sequence] = std::pair(running.call.name, running.call.sequence);
  const bool elsewhere =
      failure_->collective != "abort" && (failure_->collective != name || failure_->sequence != sequence);
  const std::string message = fmt::format(
      "{} #{}: {}{}", name, sequence,
      elsewhere ? fmt::format("the group failed in {} #{}: ", failure_->collective, failure_->sequence) : "",
      failure_->text);
  if (failure_->timeout) throw TimeoutError(message, name, sequence, failure_->rank);
  throw CommError(message, name, sequence, failure_->rank);
}

}  // namespace tutti::comm
