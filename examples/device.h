// Where a rank trains.
#pragma once

#include <tutti/tutti.h>

#include <algorithm>
#include <string>

// "cuda" gives the ranks of a machine its GPUs in turn; "" is the device that the world gave this rank.
inline tutti::Device device_of(const std::string& name, const tutti::World& world) {
  if (name.empty() || (name == "cuda" && world.device().is_cuda())) return world.device();
  if (name != "cuda") return tutti::Device::parse(name);
  return tutti::Device::cuda(world.local_rank() % std::max(1, tutti::Device::cuda_count()));
}
