// A collective that a GPU is to do.
#pragma once

#include <memory>

#include "comm/nccl/group.h"

namespace tutti::comm {

// All that is on the group's stream now.
class NcclWork final : public PendingWork {
 public:
  NcclWork(std::shared_ptr<NcclGroup> group, const NcclCall& running)
      : group_(std::move(group)), running_(running), event_(group_->stream()) {}

  void wait(std::optional<std::chrono::milliseconds> timeout) override;
  void wait_on(Stream stream) override;
  // Also when it has failed: then `wait` says so.
  bool done() override;

 private:
  bool poll();

  std::shared_ptr<NcclGroup> group_;
  NcclCall running_;
  GpuEvent event_;
  bool finished_ = false;
};

}  // namespace tutti::comm
