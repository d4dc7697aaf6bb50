// The NCCL back end, whether it is built or not.
#pragma once

#include <chrono>
#include <memory>

#include "tutti/comm/backend.h"

namespace tutti::comm {

struct NcclWorld {
  std::unique_ptr<Backend> backend;
  Device gpu;
};

// Gives each rank of `cpu` a GPU, by its number on its machine, and makes it the thread's current one.
// Collectives of its buffers run over NCCL, those of the CPU's over `cpu`. Throws ConfigError when NCCL is not
// built, or two ranks would share a GPU; DeviceError where there is none.
NcclWorld make_nccl_world(std::unique_ptr<Backend> cpu, int local_rank, std::chrono::milliseconds timeout);

}  // namespace tutti::comm
