// What `tutti-bench ops` measures.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tutti/core/device.h"
#include "tutti/core/dtype.h"

namespace tutti::bench {

struct OpCase {
  std::string name;
  double bytes;  // that it must at least read and write; 0 where arithmetic is the floor
  double flops;  // of products, 0 elsewhere
  std::function<std::function<void()>()> make;  // its operands, and a call of it
};

// Of sizes that keep the device busy, on the default one.
std::vector<OpCase> op_cases(Device device, DType dtype);

}  // namespace tutti::bench
