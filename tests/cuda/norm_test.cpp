#include "tutti/autograd/norm.h"

#include "tests/cuda/rows.h"
#include "tutti/autograd/arithmetic.h"

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

// The sum, the norm and all gradients, from gradients of either or both.
Tensors outcome(const std::function<AddNorm(const Tensors&)>& f, const Tensors& inputs, bool use_sum,
                bool use_norm) {
  Tensors leaves;
  for (const Tensor& input : inputs) leaves.push_back(input.detach().clone().set_requires_grad());
  const auto [sum, normed] = f(leaves);
  const auto gradient = [&](int seed) { return numbers(sum.shape(), sum.dtype(), seed).to(sum.device()); };
  if (use_sum && use_norm) {
    cat({sum, normed}).backward(cat({gradient(3), gradient(4)}));
  } else {
    use_sum ? sum.backward(gradient(3)) : normed.backward(gradient(4));
  }
  Tensors results{sum.detach(), normed.detach()};
  for (const Tensor& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

void expect_bits_of_two_steps(const Tensors& inputs, bool use_sum, bool use_norm) {
  for (const bool root_mean_square : {false, true}) {
    const Tensors in(inputs.begin(), inputs.end() - (root_mean_square && inputs.size() == 4 ? 1 : 0));
    const auto parameter = [](const Tensors& x, std::size_t i) { return i < x.size() ? x[i] : Tensor(); };
    const auto norm = [&](const Tensor& y, const Tensors& x) {
      return root_mean_square ? rms_norm(y, parameter(x, 2))
                              : layer_norm(y, parameter(x, 2), parameter(x, 3));
    };
    const auto one = outcome(
        [&](const Tensors& x) {
          return root_mean_square ? add_rms_norm(x[0], x[1], parameter(x, 2))
                                  : add_layer_norm(x[0], x[1], parameter(x, 2), parameter(x, 3));
        },
        in, use_sum, use_norm);
    const auto two = outcome(
        [&](const Tensors& x) {
          const Tensor sum = x[0] + x[1];
          return AddNorm{sum, norm(sum, x)};
        },
        in, use_sum, use_norm);
    for (std::size_t i = 0; i < two.size(); ++i) {
      SCOPED_TRACE((root_mean_square ? "rms, result " : "result ") + std::to_string(i));
      ASSERT_EQ(one[i].defined(), two[i].defined());
      if (two[i].defined()) expect_close(one[i], two[i].to(Device::cpu()), 0);
    }
  }
}

TEST_F(GpuTest, AddNormHasTheBitsOfASumAndItsNorm) {
  for (const DType dtype : floats) {
    for (const std::int64_t columns : lengths_of(dtype)) {
      SCOPED_TRACE(std::string(name_of(dtype)) + " " + std::to_string(columns));
      Tensors in{numbers({3, columns}, dtype), numbers({3, columns}, dtype, 5), numbers({columns}, dtype, 1),
                 numbers({columns}, dtype, 2)};
      for (Tensor& x : in) x = x.to(gpu);
      expect_bits_of_two_steps(in, true, true);
    }
  }
}

TEST_F(GpuTest, AddNormOfWhatIsLeftOut) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor x = numbers({70, 24}, dtype).to(gpu), y = numbers({70, 24}, dtype, 5).to(gpu);
    expect_bits_of_two_steps({x, y}, true, true);
    for (const bool sum_only : {false, true}) {
      expect_bits_of_two_steps({x, y, numbers({24}, DType::f32, 1).to(gpu)}, sum_only, !sum_only);
      expect_bits_of_two_steps({x, y}, sum_only, !sum_only);
    }
  }
  const Tensor x = numbers({1100, 9}, DType::f32).to(gpu),
               y = numbers({9, 1100}, DType::f32).to(gpu).transpose(0, 1);
  const Tensor sum = x + y;
  expect_close(add_layer_norm(x, y).normed, layer_norm(sum).to(Device::cpu()), 0);
  EXPECT_EQ(add_layer_norm(empty({0, 5}, {.device = gpu}), empty({0, 5}, {.device = gpu})).sum.numel(), 0);
}

TEST_F(GpuTest, AddNormIsThatOfTheCpu) {
  for (const DType dtype : floats) {
    for (const std::int64_t columns : {40, 33, 600}) {
      const Tensor x = numbers({6, columns}, dtype), y = numbers({6, columns}, dtype, 5),
                   w = numbers({columns}, dtype, 1), b = numbers({columns}, dtype, 2);
      const auto both = [](const AddNorm& out) { return cat({out.sum, out.normed}); };
      expect_same_gradients(
          [&](const Tensors& in) { return both(add_layer_norm(in[0], in[1], in[2], in[3])); }, {x, y, w, b},
          gpu);
      expect_same_gradients([&](const Tensors& in) { return both(add_rms_norm(in[0], in[1], in[2])); },
                            {x, y, w}, gpu);
    }
  }
}

}  // namespace
}  // namespace tutti::test
