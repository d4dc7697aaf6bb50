// Two tensors, value by value.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tutti/checkpoint/checkpoint.h"

namespace tutti::ckpt {

struct Difference {
  std::int64_t values = 0;  // whose bits differ
  std::int64_t first = -1;  // row-major index
  double first_a = 0, first_b = 0;
  double max_abs = 0;  // NaN where one of two values is NaN
};

// Of the tensor of that name, dtype and shape in both, read in parts. `progress` is told of bytes done in each.
Difference compare(const Checkpoint& a, const Checkpoint& b, const Checkpoint::TensorInfo& tensor,
                   const std::function<void(std::uint64_t)>& progress);

}  // namespace tutti::ckpt
