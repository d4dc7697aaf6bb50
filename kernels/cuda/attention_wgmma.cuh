// What attention on an H100 and its gradients share.
#pragma once

#include <cstdint>
#include <numeric>
#include <optional>

#include "kernels/cuda/attention_mma.cuh"
#include "kernels/cuda/wgmma.cuh"

namespace tutti::kernels {

inline constexpr int group_rows = 64, group_threads = 128;  // of a warpgroup

// A place in a ring, and the parity of the round.
template <int stages>
struct RingPlace {
  int stage = 0;
  unsigned parity = 0;

  __device__ RingPlace next() const {
    return {stage + 1 == stages ? 0 : stage + 1, stage + 1 == stages ? parity ^ 1 : parity};
  }
};

// What all strides of the batch are multiples of becomes the unit of the last dimension, so that any batch has one map;
// `strides` are then those in units.
inline std::optional<TensorMap> map_of(const AttentionArgs& args, HeadMatrices& x, std::int64_t columns,
                                       std::int64_t rows, int box_rows) {
  std::int64_t unit = 0, last = 0;
  for (int d = 0; d < args.batch.rank; ++d) {
    if (args.batch.sizes[d] == 1) x.strides[d] = 0;
    if (x.strides[d] < 0) return std::nullopt;
    unit = std::gcd(unit, x.strides[d]);
    last += (args.batch.sizes[d] - 1) * x.strides[d];
  }
  if (unit == 0) unit = 8;
  for (int d = 0; d < args.batch.rank; ++d) x.strides[d] /= unit;
  return tensor_map(x.data, {columns, rows, last / unit + 1, x.ld, unit}, box_rows);
}

}  // namespace tutti::kernels
