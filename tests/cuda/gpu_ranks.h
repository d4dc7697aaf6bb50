// Ranks that are threads, with a GPU each where there are so many.
#pragma once

#include "tests/cuda/gpu_test.h"
#include "tests/support/ranks.h"
#include "tutti/core/error.h"

namespace tutti::test {

// That of a rank: two ranks share one where there is one.
inline Device gpu_of(const Communicator& comm) {
  try {
    return Device::cuda(comm.rank() % 2);
  } catch (const DeviceError&) {
    return Device::cuda();
  }
}

}  // namespace tutti::test
