#include "kernels/random.h"

#include "tests/cuda/gpu_test.h"
#include "tutti/autograd/dropout.h"
#include "tutti/tensor/random.h"

namespace tutti::test {
namespace {

using Draw = Tensor (*)(const Shape& shape, Generator& generator, const TensorOptions& options);

// Twice from one generator each: the second draw begins where the first has ended.
void compare(Draw draw, const Shape& shape, DType dtype, double tolerance, Device gpu) {
  SCOPED_TRACE(std::string(name_of(dtype)) + shape.str());
  Generator here(0x123456789abcdefu, 3), there(0x123456789abcdefu, 3);
  for (int i = 0; i < 2; ++i)
    expect_close(draw(shape, there, {dtype, gpu}), draw(shape, here, {.dtype = dtype}), tolerance);
}

const Shape shapes[] = {{0}, {1}, {7}, {5, 13}, {4100}};

TEST_F(GpuTest, UniformNumbersHaveTheBitsOfTheCpu) {
  for (const Shape& shape : shapes) {
    for (const DType dtype : floats) {
      compare([](const auto& s, auto& g, const auto& o) { return rand(s, g, -0.3, 1.7, o); }, shape, dtype, 0,
              gpu);
      compare([](const auto& s, auto& g, const auto& o) { return bernoulli(0.3, s, g, o); }, shape, dtype, 0,
              gpu);
    }
    for (const DType dtype : integers) {
      compare([](const auto& s, auto& g, const auto& o) { return randint(3, 100, s, g, o); }, shape, dtype, 0,
              gpu);
    }
  }
}

TEST_F(GpuTest, NormalNumbers) {
  for (const DType dtype : floats) {
    const double tolerance = size_of(dtype) == 2 ? tolerance_of(dtype) : 1e-6;
    for (const Shape& shape : shapes)
      compare([](const auto& s, auto& g, const auto& o) { return randn(s, g, 0.5, 2, o); }, shape, dtype,
              tolerance, gpu);
  }
}

// The mask of a generator is what it draws, however the elements lie, and the backward pass has the same one.
TEST_F(GpuTest, Dropout) {
  for (const DType dtype : floats) {
    for (const Tensor& x : layouts(dtype)) {
      SCOPED_TRACE(x.str());
      Generator here(5), there(5), of_mask(5);
      Tensor a = same_view(x, Device::cpu()), b = same_view(x, gpu);
      a.set_requires_grad();
      b.set_requires_grad();
      const Tensor expected = dropout(a, 0.3, here), actual = dropout(b, 0.3, there);
      expect_close(actual.detach(), expected.detach(), tolerance_of(dtype));
      EXPECT_EQ(here.state().position, there.state().position);
      const auto mask = bernoulli(1 - 0.3, x.shape(), of_mask).to_vector<float>();
      const auto values = expected.detach().to(DType::f32).to_vector<float>();
      for (std::size_t i = 0; i < mask.size(); ++i) ASSERT_EQ(values[i] != 0, mask[i] != 0);
      const Tensor g = numbers(x.shape(), dtype, 1);
      expected.backward(g);
      actual.backward(g.to(gpu));
      expect_close(b.grad(), a.grad(), tolerance_of(dtype));
    }
  }
  Generator generator(1);
  for (const std::int64_t n : {0, 1, 2, 9, 1027}) {
    Generator again = Generator(1);
    again.set_state(generator.state());
    EXPECT_EQ(dropout(ones({n}), 0.5, generator).to_vector<float>(),
              dropout(ones({n + 1}, {.device = gpu}).slice(0, 1, n + 1), 0.5, again).to_vector<float>());
  }
}

}  // namespace
}  // namespace tutti::test
