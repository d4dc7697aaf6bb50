// What tests of row-wise operations share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/cuda/gpu_test.h"

namespace tutti::test {

inline double row_tolerance(DType dtype) {
  return dtype == DType::f64 ? 1e-12 : dtype == DType::f32 ? 1e-5 : 1e-2;
}

// Lengths of rows for each way of sharing one out: in packs by a part of a warp, a warp (of 16 bits in two ways), some of a block, a block, a large
// block, and piece by piece; and element by element. Some of them for f64 and f16: a simulated GPU takes its time.
inline std::vector<std::int64_t> lengths_of(DType dtype) {
  const auto n = static_cast<std::int64_t>(16 / size_of(dtype));
  if (dtype == DType::f64 || dtype == DType::f16) return {n, 70 * n, 120 * n, 250 * n, 31, 601};
  return {n, 20 * n, 70 * n, 120 * n, 250 * n, 700 * n, 1100 * n, 2100 * n, 4100 * n, 1, 31, 261, 2101};
}

using Tensors = std::vector<Tensor>;

// f(inputs), and the gradients of all of them, on the GPU as on the CPU.
template <typename F>
void expect_same_gradients(F f, const Tensors& inputs, Device gpu) {
  const double tolerance = row_tolerance(inputs[0].dtype());
  const auto run = [&](Device device) {
    Tensors leaves;
    for (const Tensor& input : inputs) leaves.push_back(same_view(input, device).set_requires_grad());
    const Tensor out = f(leaves);
    out.backward(numbers(out.shape(), out.dtype(), 3).to(device));
    Tensors results{out.detach()};
    for (const Tensor& leaf : leaves) results.push_back(leaf.grad());
    return results;
  };
  const auto there = run(gpu), here = run(Device::cpu());
  for (std::size_t i = 0; i < here.size(); ++i) {
    SCOPED_TRACE(i == 0 ? "result" : "gradient " + std::to_string(i - 1));
    expect_close(there[i], here[i], tolerance);
  }
}

}  // namespace tutti::test
