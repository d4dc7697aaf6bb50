#include "comm/nccl/work.h"

#include <fmt/format.h>

#include "kernels/launch.h"
#include "tutti/core/error.h"

namespace tutti::comm {

void NcclWork::wait(std::optional<std::chrono::milliseconds> timeout) {
  const auto patience = timeout ? deadline_after(*timeout) : std::chrono::steady_clock::time_point::max();
  Pauses pauses;
  while (!poll()) {
    const Backend::Call& call = running_.call;
    if (std::chrono::steady_clock::now() >= patience) {
      throw TimeoutError(fmt::format("{} #{}: not done within {} ms; it goes on", call.name, call.sequence,
                                     timeout->count()),
                         call.name, call.sequence, -1);
    }
    pauses.pause();
  }
}

void NcclWork::wait_on(Stream stream) {
  if (finished_) return;
  group_->check(running_);
  const kernels::CurrentGpu current(group_->gpu());
  event_.hold(static_cast<cudaStream_t>(stream));
}

bool NcclWork::done() {
  try {
    return poll();
  } catch (const CommError&) {
    return true;
  }
}

// An abort lets the GPU run on to the event: it was done only if the group is whole after that was seen.
bool NcclWork::poll() {
  if (finished_) return true;
  bool passed = false;
  try {
    passed = event_.passed();
  } catch (const DeviceError& error) {
    group_->fail(running_, error.what());
  }
  group_->check(running_);
  if (!passed && running_.late()) group_->fail_late(running_, "it was not done");
  finished_ = passed;
  return finished_;
}

}  // namespace tutti::comm
