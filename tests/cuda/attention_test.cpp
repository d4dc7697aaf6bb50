#include "tutti/autograd/attention.h"

#include <array>
#include <string>

#include "tests/cuda/gpu_test.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"

namespace tutti::test {
namespace {

using Tensors = std::vector<Tensor>;

// Numbers in (-1, 1) that go up and down without a pattern: gradients of scores don't cancel.
Tensor waves(const Shape& shape, DType dtype, int seed = 0) {
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto k = static_cast<double>(i);
    values[i] = std::sin(k * k * 0.37 + 1.3 * k + seed);
  }
  return from(values, shape).to(dtype);
}

// What attention gives of q, k and v, and the gradients of those.
Tensors results_of(const Tensors& in, const AttentionOptions& options, Device device) {
  Tensors there;
  for (const Tensor& x : in) there.push_back(same_view(x, device).set_requires_grad());
  const Tensor y = scaled_dot_product_attention(there[0], there[1], there[2], options);
  y.backward(waves(y.shape(), y.dtype(), 7).to(device));
  return {y.detach(), there[0].grad(), there[1].grad(), there[2].grad()};
}

// Sums of terms of both signs: an error is as large as the largest of them allows.
void expect_same(const Tensor& actual, const Tensor& expected) {
  ASSERT_EQ(actual.dtype(), expected.dtype());
  const auto wide = [](const Tensor& x) { return x.to(Device::cpu()).to(DType::f64); };
  const double largest = amax(abs(wide(expected))).item<double>() + 0.1;
  const DType dtype = expected.dtype();
  const double tolerance = dtype == DType::f64   ? 1e-12
                           : dtype == DType::f32 ? 1e-5
                           : dtype == DType::f16 ? 2e-3
                                                 : 1e-2;
  expect_close(wide(actual) / largest, wide(expected) / largest, tolerance);
}

void compare(const Tensors& in, const AttentionOptions& options, Device gpu) {
  SCOPED_TRACE(std::string(name_of(in[0].dtype())) + in[0].shape().str() + in[1].shape().str() +
               in[2].shape().str() + (options.causal ? " causal" : ""));
  const auto there = results_of(in, options, gpu), here = results_of(in, options, Device::cpu());
  for (std::size_t i = 0; i < here.size(); ++i) {
    SCOPED_TRACE("of out, dq, dk, dv number " + std::to_string(i));
    expect_same(there[i], here[i]);
  }
}

// The same of the result alone, which takes a third of the time.
void compare_outputs(const Tensors& in, const AttentionOptions& options, Device gpu) {
  SCOPED_TRACE(std::string(name_of(in[0].dtype())) + in[0].shape().str() + in[1].shape().str() +
               (options.causal ? " causal" : ""));
  const auto result = [&](Device device) {
    return scaled_dot_product_attention(same_view(in[0], device), same_view(in[1], device),
                                        same_view(in[2], device), options);
  };
  expect_same(result(gpu), result(Device::cpu()));
}

Tensors inputs(DType dtype, std::int64_t queries, std::int64_t keys, std::int64_t width,
               std::int64_t value_width) {
  return {waves({queries, width}, dtype), waves({keys, width}, dtype, 1),
          waves({keys, value_width}, dtype, 2)};
}

// Tensor cores have widths that are multiples of 8, padded to 64, 96 and 128; the others go by the plain form.
TEST_F(GpuTest, AttentionOfAnyWidth) {
  for (const DType dtype : floats) {
    for (const auto& [width, value_width] :
         {std::array{1, 8}, {33, 33}, {64, 64}, {80, 96}, {128, 40}, {130, 3}})
      compare(inputs(dtype, 17, 19, width, value_width), {.causal = width % 3 != 0}, gpu);
  }
}

TEST_F(GpuTest, AttentionAroundBlocksOnTensorCores) {
  for (const auto& [queries, keys] : {std::array{1, 1}, {1, 70}, {64, 64}, {65, 129}, {129, 65}, {70, 30}})
    compare(inputs(DType::bf16, queries, keys, 32, 32), {.causal = true}, gpu);
  compare(inputs(DType::f16, 33, 65, 64, 64), {}, gpu);
  compare(inputs(DType::f16, 33, 65, 104, 104), {}, gpu);
}

// Several tiles of queries for each block of a GPU, a tile cut short, fewer queries than keys and more; on an H100 the form
// that loads by TMA.
TEST_F(GpuTest, AttentionOfManyTiles) {
  for (const std::int64_t width : {64, 128}) {
    for (const auto& [queries, keys] : {std::array{130, 400}, {390, 130}, {300, 300}}) {
      const Tensors in = inputs(width == 64 ? DType::bf16 : DType::f16, queries, keys, width, width);
      compare(in, {.causal = queries != 300}, gpu);
      compare_outputs(in, {.causal = queries == 300}, gpu);
    }
    compare(inputs(DType::bf16, 70, 330, width, width - 24), {.causal = true, .scale = -0.3}, gpu);
  }
}

// As one product makes them: [batch, tokens, 3 heads, width].
TEST_F(GpuTest, AttentionOfHeadsWithinRows) {
  for (const std::int64_t width : {64, 128}) {
    const Tensor qkv = waves({2, 150, 6, width}, DType::bf16);
    const auto heads = [&](std::int64_t first) { return qkv.slice(2, first, first + 2).transpose(1, 2); };
    compare({heads(0), heads(2), heads(4)}, {.causal = true}, gpu);
  }
}

TEST_F(GpuTest, AttentionAroundBlocksElsewhere) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const auto& [queries, keys] : {std::array{1, 1}, {1, 70}, {64, 64}, {65, 129}, {129, 65}})
      compare(inputs(dtype, queries, keys, 5, 5), {.causal = queries != 64}, gpu);
  }
}

TEST_F(GpuTest, AttentionWithANegativeScale) {
  for (const DType dtype : floats)
    compare(inputs(dtype, 40, 70, 16, 16), {.causal = true, .scale = -0.4}, gpu);
}

// Heads split off by a transposed view, and dimensions in front that are broadcast.
TEST_F(GpuTest, AttentionOfBatchesOfHeads) {
  for (const DType dtype : floats) {
    const auto heads = [dtype](int seed) { return waves({2, 5, 3, 8}, dtype, seed).transpose(1, 2); };
    compare({heads(0), heads(1), heads(2)}, {.causal = true}, gpu);
    const Tensor q = waves({2, 1, 3, 8}, dtype), k = waves({3, 4, 8}, dtype, 1), v = waves({4, 16}, dtype, 2);
    expect_same(scaled_dot_product_attention(q.to(gpu), k.to(gpu), v.to(gpu)),
                scaled_dot_product_attention(q, k, v));
  }
}

// 16 bytes at a time cannot be had of these.
TEST_F(GpuTest, AttentionOfMisalignedViews) {
  for (const DType dtype : floats) {
    const Tensor wide = waves({9, 30}, dtype), offset = waves({10, 8}, dtype, 1);
    compare({wide.slice(1, 3, 11), wide.slice(1, 11, 19), wide.slice(1, 20, 28)}, {.causal = true}, gpu);
    compare({offset.reshape({80}).slice(0, 1, 73).reshape({9, 8}), offset, offset}, {}, gpu);
  }
}

TEST_F(GpuTest, AQueryThatSeesNoKeyGives0) {
  for (const DType dtype : floats) {
    const auto results = results_of(inputs(dtype, 150, 3, 8, 8), {.causal = true}, gpu);
    for (std::size_t i = 0; i < 2; ++i)
      expect_close(results[i].slice(0, 0, 147), zeros({147, 8}, {.dtype = dtype}), 0);
  }
}

// Run after run, and however many heads there are.
TEST_F(GpuTest, AttentionGivesTheSameBits) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensors in{waves({2, 70, 16}, dtype), waves({2, 70, 16}, dtype, 1), waves({2, 70, 16}, dtype, 2)};
    const auto all = results_of(in, {.causal = true}, gpu), again = results_of(in, {.causal = true}, gpu);
    const auto y = scaled_dot_product_attention(in[0].slice(0, 1, 2).to(gpu), in[1].slice(0, 1, 2).to(gpu),
                                                in[2].slice(0, 1, 2).to(gpu), {.causal = true});
    for (std::size_t i = 0; i < all.size(); ++i) expect_close(again[i], all[i].to(Device::cpu()), 0);
    expect_close(y, all[0].slice(0, 1, 2).to(Device::cpu()), 0);
  }
}

// Their gradients lie in one memory, unless parts of it would not be aligned.
TEST_F(GpuTest, AttentionOfPartsOfOneProjection) {
  for (const auto& [heads, width] : {std::pair{2, 8}, std::pair{3, 5}, std::pair{1, 1}}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      SCOPED_TRACE(std::to_string(heads) + " x " + std::to_string(width) + " " + std::string(name_of(dtype)));
      const auto gradient = [&, h = heads](Tensor all) {
        all.set_requires_grad();
        const auto parts = split(all, h, 2);
        const Tensor y = scaled_dot_product_attention(parts[0].transpose(1, 2), parts[1].transpose(1, 2),
                                                      parts[2].transpose(1, 2), {.causal = true});
        y.backward(waves(y.shape(), dtype, 3).to(all.device()));
        return all.grad();
      };
      const Tensor all = waves({2, 9, 3 * heads, width}, dtype);
      expect_close(gradient(all.to(gpu)), gradient(all.clone()), 4 * tolerance_of(dtype));
    }
  }
}

}  // namespace
}  // namespace tutti::test
