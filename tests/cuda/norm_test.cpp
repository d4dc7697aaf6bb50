#include "tutti/autograd/norm.h"

#include "tests/cuda/rows.h"

namespace tutti::test {
namespace {

Tensor layer(const Tensors& x) { return layer_norm(x[0], x[1], x[2]); }
Tensor rms(const Tensors& x) { return rms_norm(x[0], x[1]); }

TEST_F(GpuTest, NormsOfRowsOfAnyLength) {
  for (const DType dtype : floats) {
    for (const std::int64_t columns : lengths_of(dtype)) {
      SCOPED_TRACE(std::string(name_of(dtype)) + " " + std::to_string(columns));
      if (columns == 1) continue;  // nothing but rounding is left of it
      const Tensor x = numbers({3, columns}, dtype), w = numbers({columns}, dtype, 1),
                   b = numbers({columns}, dtype, 2);
      expect_same_gradients(layer, {x, w, b}, gpu);
      expect_same_gradients(rms, {x, w}, gpu);
    }
  }
}

TEST_F(GpuTest, NormsOfManyRows) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const std::int64_t columns : {8, 9, 320}) {
      const Tensor x = numbers({columns == 320 ? 70 : 1100, columns}, dtype);
      expect_same_gradients(layer, {x, numbers({columns}, dtype, 1), numbers({columns}, dtype, 2)}, gpu);
    }
  }
}

TEST_F(GpuTest, NormsWithoutParameters) {
  for (const DType dtype : floats) {
    const Tensor x = numbers({5, 3, 24}, dtype);
    expect_same_gradients([](const Tensors& in) { return layer_norm(in[0]); }, {x}, gpu);
    expect_same_gradients([](const Tensors& in) { return rms_norm(in[0]); }, {x}, gpu);
    // Where only parameters want a gradient.
    const Tensor there = x.to(gpu);
    expect_same_gradients(
        [&](const Tensors& in) { return layer_norm(in[0].device() == gpu ? there : x, in[0], in[1]); },
        {numbers({24}, dtype, 1), numbers({24}, dtype, 2)}, gpu);
  }
}

// Parameters are trained in f32 beside activations of 16 bits.
TEST_F(GpuTest, NormsOfNarrowRowsWithWideParameters) {
  for (const DType dtype : {DType::bf16, DType::f16}) {
    const Tensor x = numbers({4, 40}, dtype), w = numbers({40}, DType::f32, 1),
                 b = numbers({40}, DType::f32, 2);
    expect_same_gradients(layer, {x, w, b}, gpu);
    expect_same_gradients(rms, {x, w}, gpu);
  }
}

TEST_F(GpuTest, NormsOfOtherLayouts) {
  for (const Tensor& x : layouts(DType::f32)) {
    expect_same_gradients(layer, {x, numbers({7}, DType::f32, 1), numbers({7}, DType::f32, 2)}, gpu);
  }
  expect_same_gradients(layer,
                        {numbers({3, 9}, DType::f32).slice(1, 1, 9), numbers({9}, DType::f32).slice(0, 1, 9),
                         numbers({8}, DType::f32)},
                        gpu);
  const Tensor w = numbers({5}, DType::f32).to(gpu).set_requires_grad();
  rms_norm(empty({0, 5}, {.device = gpu}), w).backward(empty({0, 5}, {.device = gpu}));
  expect_close(w.grad(), zeros({5}), 0);
}

// Far from 0 the squares alone would lose the variance.
TEST_F(GpuTest, NormsFarFromZero) {
  const Tensor x = numbers({2, 700}, DType::f32).add_(ones({2, 700}), 1000);
  expect_close(layer_norm(x.to(gpu)), layer_norm(x), 1e-3);
  expect_close(layer_norm(x.to(gpu)), layer_norm(x.to(DType::f64)).to(DType::f32), 1e-3);
}

TEST_F(GpuTest, ARowsNormIsItsOwn) {
  const Tensor x = numbers({5, 600}, DType::bf16).to(gpu);
  expect_close(layer_norm(x.slice(0, 3, 4)), layer_norm(x).slice(0, 3, 4).to(Device::cpu()), 0);
}

}  // namespace
}  // namespace tutti::test
