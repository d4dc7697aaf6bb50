// Brings numbers to the host.
#pragma once

#include <functional>
#include <memory>

#include "kernels/copy_queue.h"
#include "tutti/tensor/tensor.h"

namespace tutti::parallel {

// A number of a GPU is read behind what is queued when that begins, not behind what is queued meanwhile: the GPU always has
// something to do.
class NumberReader {
 public:
  // `number` has one element, and stays until `finish`.
  void begin(const Tensor& number);
  // While it waits, it calls `watch()`, which may throw.
  double finish(const std::function<void()>& watch);

 private:
  Tensor number_;
  std::unique_ptr<kernels::CopyQueue> queue_;
  std::shared_ptr<void> room_;  // pinned
  kernels::StreamMark arrived_;
};

}  // namespace tutti::parallel
