// A stable sort of 32-bit keys, which leaves where each stood: least significant digits first, by kernels that have the same
// result on every grid. CUB's would not run on the simulated GPU.
#pragma once

#include <cstdint>

#include "kernels/cuda/workspace.h"

namespace tutti::kernels {

class SortedKeys {
 public:
  // Room for `count` keys below 2^bits.
  SortedKeys(std::uint32_t count, int bits);

  // To be written before sort() is called.
  std::uint32_t* unsorted() const { return keys_[0]; }
  void sort(const char* name);

  // Afterwards: the keys in their order, and the place of each among the unsorted.
  const std::uint32_t* keys() const { return keys_[now_]; }
  const std::uint32_t* places() const { return places_[now_]; }
  std::uint32_t count() const { return count_; }

 private:
  std::uint32_t count_, tiles_;
  int bits_, now_ = 0;
  DeviceWorkspace memory_;
  std::uint32_t *keys_[2], *places_[2], *counts_;
};

}  // namespace tutti::kernels
