#include "tutti/autograd/reduce.h"

#include "kernels/reduce.h"
#include "tests/cuda/rows.h"
#include "tutti/autograd/math.h"

namespace tutti::test {
namespace {

// Of x [outer, n, inner], for each kernel.
void compare(kernels::Reduction op, const Tensor& x, Device gpu) {
  const auto run = [op](const Tensor& from) {
    const Tensor out = empty({from.size(0), from.size(2)}, {from.dtype(), from.device()});
    kernels::launch<kernels::Reduce>(from.device(), op, from.dtype(), from.raw_data(), out.raw_data(),
                                     from.size(0), from.size(1), from.size(2));
    return out;
  };
  const bool is_exact = op != kernels::Reduction::sum || !is_floating_point(x.dtype());
  expect_close(run(x.to(gpu)), run(x), is_exact ? 0 : row_tolerance(x.dtype()));
}

constexpr kernels::Reduction reductions[] = {kernels::Reduction::sum, kernels::Reduction::max,
                                             kernels::Reduction::min};

TEST_F(GpuTest, ReductionsOfRowsAndColumns) {
  for (const DType dtype : all_dtypes) {
    if (dtype == DType::bool_) continue;
    for (const Shape& shape : {Shape{3, 1, 1},
                               {5, 64, 1},
                               {9, 61, 1},
                               {3, 1200, 1},
                               {2, 4999, 1},
                               {1, 20'000, 1},
                               {3, 33'000, 1},
                               {1, 40'003, 1},
                               {2, 3, 5},
                               {3, 70, 16},
                               {1, 1500, 40},
                               {2, 9, 1100},
                               {1, 3000, 3}}) {
      SCOPED_TRACE(std::string(name_of(dtype)) + " " + shape.str());
      if (shape.numel() > 10'000 && dtype != DType::f32 && dtype != DType::bf16) continue;
      const Tensor x = numbers(shape, dtype);
      for (const auto op : reductions) compare(op, op == kernels::Reduction::sum ? abs(x) : x, gpu);
    }
  }
}

TEST_F(GpuTest, ReductionsOfSomeDimensions) {
  for (const DType dtype : {DType::f32, DType::i64}) {
    for (const Tensor& x : layouts(dtype)) {
      for (const Shape& dims : {Shape{0}, {2}, {0, 2}, {0, 1, 2}}) {
        SCOPED_TRACE(x.str() + " " + dims.str());
        const Tensor there = same_view(x, gpu);
        expect_close(sum(there, dims), sum(x, dims), row_tolerance(dtype));
        expect_close(amax(there, dims, true), amax(x, dims, true), 0);
        expect_close(amin(there, dims), amin(x, dims), 0);
      }
    }
  }
  const Tensor x = numbers({1 + 4000}, DType::bf16);  // no pack begins where it does
  expect_close(sum(x.to(gpu).slice(0, 1, 4001)), sum(x.slice(0, 1, 4001)), 1e-2);
  expect_close(sum(empty({3, 0}, {.device = gpu}), {1}), zeros({3}), 0);
  EXPECT_EQ(sum(empty({0, 3}, {.device = gpu}), {1}).shape(), Shape{0});
}

TEST_F(GpuTest, GradientsOfReductions) {
  const Tensor x = numbers({4, 6, 10}, DType::f64);
  expect_same_gradients([](const Tensors& in) { return mean(in[0], {0, 2}); }, {x}, gpu);
  expect_same_gradients([](const Tensors& in) { return var(in[0], {1}); }, {x}, gpu);
  expect_same_gradients([](const Tensors& in) { return amax(in[0], {1}); }, {x}, gpu);
}

TEST_F(GpuTest, ReductionsKeepNan) {
  for (const Shape& shape : {Shape{1, 50, 1}, {1, 5000, 1}, {1, 40'000, 1}, {1, 600, 8}}) {
    const Tensor x = numbers(shape, DType::f32);
    x.slice(1, 17, 18).fill_(std::nan(""));
    for (const auto op : reductions) compare(op, x, gpu);
    const Tensor low = full(shape, -INFINITY);
    for (const auto op : {kernels::Reduction::max, kernels::Reduction::min}) compare(op, low, gpu);
  }
}

// As the CPU's, it grows with the logarithm of n: in turn, some thousand of them would be lost.
TEST_F(GpuTest, ErrorsOfLongSumsStaySmall) {
  const std::int64_t n = 300'000;
  EXPECT_NEAR(sum(full({n}, 0.1, {.device = gpu})).item<double>(), static_cast<double>(0.1f) * n, 0.01);
  EXPECT_NEAR(amax(sum(full({n / 4, 4}, 0.1, {.device = gpu}), {0})).item<double>(),
              static_cast<double>(0.1f) * n / 4, 0.0025);
}

TEST_F(GpuTest, ArgMax) {
  for (const DType dtype : all_dtypes) {
    for (const Shape& shape : {Shape{3, 1}, {5, 37}, {2, 1500}, {2, 40'001}}) {
      SCOPED_TRACE(std::string(name_of(dtype)) + " " + shape.str());
      const Tensor x =
          numbers(shape, dtype);  // 101 numbers again and again: the first of the largest is asked for
      expect_close(argmax(x.to(gpu), 1), argmax(x, 1), 0);
    }
    const Tensor x = numbers({3, 50, 7}, dtype);
    expect_close(argmax(x.to(gpu), 1), argmax(x, 1), 0);
  }
  for (const std::int64_t n : {40, 1500, 40'000}) {
    for (const std::int64_t places : {1, 2}) {
      const Tensor x = numbers({2, n}, DType::f32);
      x.slice(1, n / 2, n / 2 + 10 * places, 10).fill_(std::nan(""));
      expect_close(argmax(x.to(gpu), 1), argmax(x, 1), 0);
      expect_close(argmax(x.to(gpu).transpose(0, 1), 0), argmax(x, 1), 0);
    }
    const Tensor low = full({2, n}, -INFINITY);
    expect_close(argmax(low.to(gpu), 1), argmax(low, 1), 0);
  }
}

}  // namespace
}  // namespace tutti::test
