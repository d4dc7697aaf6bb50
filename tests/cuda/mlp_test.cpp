// Linear layers whose bias, GELU and gradients are parts of a product.
#include "tutti/autograd/mlp.h"

#include "kernels/matmul.h"
#include "tests/cuda/gpu_test.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/float32_matmul.h"
#include "tutti/autograd/grad_mode.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/reduce.h"

namespace tutti::test {
namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;
using Epilogue = kernels::MatmulEpilogue;
using Kind = Epilogue::Kind;

Tensor small(const Shape& shape, DType dtype, int seed = 0) {
  return (numbers(shape, DType::f32, seed) * 0.25).to(dtype);
}

// out = a b with an epilogue, of dense matrices.
bool fused(const Tensor& a, const Tensor& b, const Tensor& out, const Epilogue& epilogue) {
  const std::int64_t m = a.size(0), k = a.size(1), n = b.size(1);
  return kernels::launch<kernels::FusedMatmul>(
      out.device(),
      kernels::MatmulArgs{a.dtype(), 1, m, n, k, a.raw_data(), k, 0, false, b.raw_data(), n, 0, false,
                          out.raw_data(), n, 0},
      epilogue);
}

// GPUs before Hopper have no GELU in products.
bool has_gelu(Device gpu) {
  const Tensor x = zeros({16, 16}, {.dtype = DType::bf16, .device = gpu});
  return fused(x, x, empty_like(x), {.kind = Kind::gelu});
}

// f and its gradients on the GPU against those on the CPU. Undefined inputs stay so. Returns what recorded the result.
std::string expect_same(const Function& f, const std::vector<Tensor>& inputs, Device gpu) {
  const double tolerance = 2 * tolerance_of(inputs[0].dtype());
  std::vector<Tensor> here, there;
  for (const Tensor& x : inputs) {
    here.push_back(x.defined() ? x.clone() : x);
    there.push_back(x.defined() ? same_view(x, gpu) : x);
    if (x.defined()) here.back().set_requires_grad();
    if (x.defined()) there.back().set_requires_grad();
  }
  const Tensor want = f(here), got = f(there);
  expect_close(got.detach(), want.detach(), tolerance);
  const Tensor g = small(want.shape(), want.dtype(), 7);
  want.backward(g);
  got.backward(g.to(gpu));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    SCOPED_TRACE("gradient of input " + std::to_string(i));
    if (here[i].defined()) expect_close(there[i].grad(), here[i].grad(), tolerance);
  }
  return got.autograd_meta()->node->name;
}

Tensor linear_of(const std::vector<Tensor>& in) { return linear(in[0], in[1], in[2]); }
Tensor linear_gelu_of(const std::vector<Tensor>& in) { return linear_gelu(in[0], in[1], in[2], Gelu::tanh); }
Tensor mlp_of(const std::vector<Tensor>& in) { return mlp(in[0], in[1], in[2], in[3], in[4], Gelu::tanh); }

TEST_F(GpuTest, LinearLayersAndTheirGradients) {
  for (const DType dtype : floats) {
    SCOPED_TRACE(name_of(dtype));
    for (const auto& [rows, in, out] : {std::array{6, 16, 24}, {5, 7, 9}, {1, 8, 16}, {9, 3, 1}, {4, 1, 8}}) {
      SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(in) + "x" + std::to_string(out));
      expect_same(linear_of, {small({rows, in}, dtype), small({out, in}, dtype, 1), small({out}, dtype, 2)},
                  gpu);
    }
    expect_same(linear_of, {small({2, 3, 8}, dtype), small({16, 8}, dtype, 1), small({16}, dtype, 2)}, gpu);
    expect_same(linear_of, {small({8}, dtype), small({16, 8}, dtype, 1), small({16}, dtype, 2)}, gpu);
    expect_same(linear_of, {small({2, 3, 8}, dtype), small({16, 8}, dtype, 1), {}}, gpu);
    // Rows that are not evenly apart, a bias behind an offset, and one of every other element.
    expect_same(linear_of,
                {small({3, 2, 8}, dtype).transpose(0, 1), small({16, 8}, dtype, 1),
                 small({17}, dtype, 2).slice(0, 1, 17)},
                gpu);
    expect_same(linear_of,
                {small({6, 9}, dtype).slice(1, 1, 9), small({8, 16}, dtype, 1).transpose(0, 1),
                 small({32}, dtype, 2).slice(0, 0, 32, 2)},
                gpu);
  }
}

TEST_F(GpuTest, LinearLayersWithAGelu) {
  for (const DType dtype : floats) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor w = small({24, 16}, dtype, 1), b = small({24}, dtype, 2);
    const bool fuses = size_of(dtype) == 2 && has_gelu(gpu);
    EXPECT_EQ(expect_same(linear_gelu_of, {small({2, 3, 16}, dtype), w, b}, gpu),
              fuses ? "linear_gelu" : "gelu");
    EXPECT_EQ(expect_same(linear_gelu_of, {small({6, 16}, dtype), w, {}}, gpu),
              fuses ? "linear_gelu" : "gelu");
    // Of 23 columns, or for one row without a batch, it is two operations.
    EXPECT_EQ(expect_same(linear_gelu_of,
                          {small({6, 16}, dtype), small({23, 16}, dtype, 1), small({23}, dtype, 2)}, gpu),
              "gelu");
    expect_same(linear_gelu_of, {small({16}, dtype), w, b}, gpu);
    expect_same([](const std::vector<Tensor>& in) { return linear_gelu(in[0], in[1], in[2]); },
                {small({6, 16}, dtype), w, b}, gpu);
  }
}

TEST_F(GpuTest, FeedForwardNetworks) {
  for (const DType dtype : floats) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor up = small({32, 16}, dtype, 1), up_bias = small({32}, dtype, 2),
                 down = small({8, 32}, dtype, 3), down_bias = small({8}, dtype, 4);
    const std::string name =
        expect_same(mlp_of, {small({2, 3, 16}, dtype), up, up_bias, down, down_bias}, gpu);
    EXPECT_EQ(name, size_of(dtype) == 2 && has_gelu(gpu) ? "mlp" : "linear");
    expect_same(mlp_of, {small({5, 16}, dtype), up, {}, down, {}}, gpu);
    expect_same(mlp_of, {small({5, 16}, dtype), up, up_bias, small({7, 32}, dtype, 3), small({7}, dtype, 4)},
                gpu);
    expect_same(mlp_of,
                {small({5, 16}, dtype), small({31, 16}, dtype, 1), {}, small({8, 31}, dtype, 3), down_bias},
                gpu);
  }
}

TEST_F(GpuTest, FeedForwardNetworksOfNoRows) {
  const TensorOptions options{.dtype = DType::bf16, .device = gpu};
  Tensor up = ones({16, 8}, options);
  up.set_requires_grad();
  const Tensor y = mlp(zeros({0, 8}, options), up, {}, ones({8, 16}, options), {}, Gelu::tanh);
  EXPECT_EQ(y.shape(), (Shape{0, 8}));
  y.backward(zeros({0, 8}, options));
  expect_close(up.grad(), zeros({16, 8}, {.dtype = DType::bf16}), 0);
}

TEST_F(GpuTest, WithoutGradientsNothingIsKept) {
  const NoGrad no_grad;
  const Tensor x = small({6, 16}, DType::bf16), w = small({24, 16}, DType::bf16, 1),
               b = small({24}, DType::bf16, 2);
  expect_close(linear_gelu(x.to(gpu), w.to(gpu), b.to(gpu), Gelu::tanh), linear_gelu(x, w, b, Gelu::tanh),
               tolerance_of(DType::bf16));
}

// Each epilogue by itself, but the one that keeps what GELU is of and has no bias: not every cuBLASLt has it for every shape.
TEST_F(GpuTest, EpiloguesAgreeWithTheirParts) {
  for (const DType dtype : {DType::bf16, DType::f16}) {
    const Tensor a = small({16, 40}, dtype), b = small({32, 40}, dtype, 1).transpose(0, 1),
                 bias = small({32}, dtype, 2), before = small({16, 32}, dtype, 3);
    const TensorOptions options{.dtype = dtype, .device = gpu};
    const Tensor plain = matmul(a.to(DType::f32), b.to(DType::f32)), biased = plain + bias.to(DType::f32);
    const Tensor bias_there = bias.to(gpu), before_there = before.to(gpu), kept = empty({16, 32}, options),
                 sums = empty({16}, options);
    const auto expect = [&](bool there_is, const Epilogue& epilogue, const Tensor& want) {
      const Tensor out = empty({16, 32}, options);
      EXPECT_EQ(fused(a.to(gpu), b.to(gpu), out, epilogue), there_is);
      if (there_is) expect_close(out, want.to(dtype), tolerance_of(dtype));
    };
    expect(true, {.kind = Kind::bias, .bias = bias_there.raw_data()}, biased);
    expect(true, {.kind = Kind::row_sums, .row_sums = sums.raw_data()}, plain);
    expect_close(sums, sum(a.to(DType::f32), {1}).to(dtype), tolerance_of(dtype));
    const bool there_is = has_gelu(gpu);
    expect(there_is, {.kind = Kind::gelu}, gelu(plain, Gelu::tanh));
    expect(there_is, {.kind = Kind::gelu, .bias = bias_there.raw_data()}, gelu(biased, Gelu::tanh));
    expect(there_is, {.kind = Kind::gelu, .bias = bias_there.raw_data(), .pre_gelu = kept.raw_data()},
           gelu(biased, Gelu::tanh));
    if (there_is) expect_close(kept, biased.to(dtype), tolerance_of(dtype));
    Tensor leaf = before.to(DType::f32);
    leaf.set_requires_grad();
    gelu(leaf, Gelu::tanh).backward(plain);
    expect(there_is, {.kind = Kind::gelu_grad, .pre_gelu = before_there.raw_data()}, leaf.grad());
  }
}

// 1 + 2^-12 has no place in TF32.
TEST_F(GpuTest, Tf32IsForProductsThatBeginInIt) {
  const Tensor x = full({64, 64}, 1 + 1.0 / 4096, {.device = gpu});
  Tensor w = full({64, 64}, 1 + 1.0 / 4096, {.device = gpu});
  w.set_requires_grad();
  const auto first = [](const Tensor& y) { return y.to(Device::cpu()).to_vector<float>()[0]; };
  EXPECT_GT(first(linear(x, w)), 64.01f);
  Tensor y;
  {
    const Float32Matmul precision(Float32Precision::tf32);
    y = linear(x, w);
  }
  EXPECT_EQ(first(y), 64);
  EXPECT_GT(first(linear(x, w)), 64.01f);
  y.backward(ones({64, 64}, {.device = gpu}));
  EXPECT_EQ(first(w.grad()), 64);
}

TEST_F(GpuTest, FeedForwardNetworksInTf32) {
  const Float32Matmul precision(Float32Precision::tf32);
  std::vector<Tensor> in{small({6, 16}, DType::f32), small({32, 16}, DType::f32, 1),
                         small({32}, DType::f32, 2), small({8, 32}, DType::f32, 3),
                         small({8}, DType::f32, 4)};
  const Tensor want = mlp_of(in);
  for (Tensor& x : in) x = x.to(gpu);
  in[0].set_requires_grad();
  const Tensor got = mlp_of(in);
  expect_close(got.detach(), want, 5e-3);
  EXPECT_STREQ(got.autograd_meta()->node->name, has_gelu(gpu) ? "mlp" : "linear");
}

}  // namespace
}  // namespace tutti::test
