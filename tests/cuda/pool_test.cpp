#include "tutti/autograd/pool.h"

#include <limits>

#include "kernels/pool.h"
#include "tests/cuda/gpu_test.h"
#include "tutti/core/size2d.h"

namespace tutti::test {
namespace {

using Pool = Tensor (*)(const Tensor&, Size2d, const PoolOptions&);

struct PoolCase {
  Shape shape;
  Size2d window;
  PoolOptions options = {};
};

const PoolCase pool_cases[] = {
    {{2, 3, 8, 6}, 2},                                              // pairs
    {{2, 3, 5, 6}, 2},                                              // a row is left over
    {{2, 3, 6, 5}, 2},                                              // rows of odd length
    {{2, 2, 9, 11}, 3, {.stride = 2, .padding = 1}},                // overlaps, and padding
    {{1, 2, 7, 9}, {2, 3}, {.stride = {3, 1}, .padding = {1, 0}}},  // gaps
    {{3, 5, 7, 7}, 7},                                              // whole images
    {{1, 2, 9, 10}, {6, 7}, {.stride = 2, .padding = 3}},           // large windows with padding
    {{2, 1, 1, 1}, 1},
    {{4, 300, 2, 2}, 2},
    {{0, 3, 8, 6}, 2},
    {{2, 0, 8, 6}, {3, 2}},
};

void compare(Pool pool, const PoolCase& c, DType dtype, Device gpu) {
  SCOPED_TRACE(c.shape.str() + " by " + c.window.str() + " " + std::string(name_of(dtype)));
  Tensor x = numbers(c.shape, dtype), there = x.to(gpu);
  x.set_requires_grad();
  there.set_requires_grad();
  const Tensor out = pool(x, c.window, c.options), out_there = pool(there, c.window, c.options);
  expect_close(out_there, out, tolerance_of(dtype));
  const Tensor g = numbers(out.shape(), dtype, 3);
  out.backward(g);
  out_there.backward(g.to(gpu));
  expect_close(there.grad(), x.grad(), tolerance_of(dtype));
}

TEST_F(GpuTest, PoolsOfEachWindow) {
  for (const DType dtype : floats) {
    for (const PoolCase& c : pool_cases) {
      compare(max_pool2d, c, dtype, gpu);
      compare(avg_pool2d, c, dtype, gpu);
    }
  }
}

// Rows that begin at an odd element have no pairs.
TEST_F(GpuTest, PoolsOfMisalignedImages) {
  for (const DType dtype : floats) {
    const Tensor all = numbers({97}, dtype), there = all.to(gpu);
    const Tensor x = all.slice(0, 1, 97).reshape({1, 2, 6, 8}),
                 view = there.slice(0, 1, 97).reshape({1, 2, 6, 8});
    expect_close(max_pool2d(view, 2), max_pool2d(x, 2), tolerance_of(dtype));
    expect_close(avg_pool2d(view, 2), avg_pool2d(x, 2), tolerance_of(dtype));
  }
}

// Of equals the first is taken; NaN is larger than all, and the last of it is taken, by each way through a window.
TEST_F(GpuTest, MaxPoolTakesTheElementThatTheCpuTakes) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(),
                  low = -std::numeric_limits<float>::infinity();
  for (const Size2d window : {Size2d(2), Size2d(3), Size2d(6, 8)}) {
    for (const float special : {1.0f, nan, low}) {
      std::vector<float> values(48, special == 1.0f ? 1.0f : low);
      for (std::size_t i = 0; i < values.size(); i += 5) values[i] = special;
      Tensor x = from(values, {1, 1, 6, 8}), there = x.to(gpu);
      x.set_requires_grad();
      there.set_requires_grad();
      const Tensor out = max_pool2d(x, window), out_there = max_pool2d(there, window);
      expect_close(out_there, out, 0);
      const Tensor g = numbers(out.shape(), DType::f32);
      out.backward(g);
      out_there.backward(g.to(gpu));
      expect_close(there.grad(), x.grad(), 0);
    }
  }
}

}  // namespace
}  // namespace tutti::test
