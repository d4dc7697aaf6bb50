// Collectives that have been started.
#pragma once

#include <vector>

#include "tutti/comm/work.h"
#include "tutti/core/cuda.h"

namespace tutti::parallel {

// On the CPU the host waits for them. On a GPU its stream does, and the host goes on; what came of them it learns later.
class UnderWay {
 public:
  // Of buffers on `device`.
  void start(comm::Work work, Device device) {
    watch();
    works_.push_back(std::move(work));
    device_ = device;
  }

  // What this thread computes from here on comes behind them.
  void follow() {
    if (device_.is_cpu()) return settle();
    void* const stream = cuda::current_stream(device_);
    for (; followed_ < works_.size(); ++followed_) works_[followed_].wait_on(stream);
  }

  // Lets go of what is done, and throws what it threw.
  void watch() {
    while (!works_.empty() && works_.front().done()) let_go();
  }

  // The host waits.
  void settle() {
    while (!works_.empty()) let_go();
  }

 private:
  void let_go() {
    comm::Work work = std::move(works_.front());
    works_.erase(works_.begin());
    if (followed_ > 0) --followed_;
    work.wait();
  }

  std::vector<comm::Work> works_;
  std::size_t followed_ = 0;
  Device device_;
};

}  // namespace tutti::parallel
