// Many tensors in one launch: pointers and sizes travel as the kernel's arguments, and every block takes as many neighbouring
// elements of one tensor as every other.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/grid.cuh"

namespace tutti::kernels {

// Elements [first, last) of a tensor.
struct Part {
  int tensor;
  std::int64_t first, last;
};

// Up to `most` tensors, of each of which a kernel needs `pointers` pointers.
template <int pointers>
struct TensorList {
  static constexpr int most = 3600 / (8 * pointers + 12);  // a kernel's arguments have room for 4 KB

  int tensors = 0;
  std::uint32_t first_block[most + 1] = {};  // the blocks of a tensor follow each other
  std::int64_t counts[most] = {};
  void* at[pointers][most] = {};

  // What the block has, if blocks take `part` elements.
  __device__ Part mine(std::int64_t part) const {
    int low = 0, high = tensors - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first_block[middle] <= blockIdx.x)
        low = middle;
      else
        high = middle - 1;
    }
    const std::int64_t first = static_cast<std::int64_t>(blockIdx.x - first_block[low]) * part;
    return {low, first, min(first + part, counts[low])};
  }
};

// Collects tensors, and queues `launch(list, blocks)` when a list is full, and at the end.
template <int pointers, typename Launch>
class TensorLists {
 public:
  TensorLists(std::int64_t part, Launch launch) : part_(part), launch_(launch) {}

  template <typename... P>
  void add(std::int64_t count, P*... at) {
    static_assert(sizeof...(P) == pointers);
    if (count == 0) return;
    const std::int64_t blocks = (count + part_ - 1) / part_;
    if (list_.tensors == list_.most || list_.first_block[list_.tensors] + blocks > most_blocks) flush();
    int k = 0;
    ((list_.at[k++][list_.tensors] = const_cast<void*>(static_cast<const void*>(at))), ...);
    list_.counts[list_.tensors] = count;
    ++list_.tensors;
    list_.first_block[list_.tensors] =
        list_.first_block[list_.tensors - 1] + static_cast<std::uint32_t>(blocks);
  }
  void flush() {
    if (list_.tensors > 0) launch_(list_, list_.first_block[list_.tensors]);
    list_.tensors = 0;
  }

 private:
  static constexpr std::int64_t most_blocks = 0x7fffffff;

  std::int64_t part_;
  Launch launch_;
  TensorList<pointers> list_;
};

}  // namespace tutti::kernels
