// Networks for images: what they give, their gradients and their buffers are those of the CPU.
#include "kernels/reduce.h"
#include "tests/cuda/gpu_test.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/pool.h"
#include "tutti/nn/batch_norm.h"
#include "tutti/nn/conv.h"
#include "tutti/nn/linear.h"

namespace tutti::test {
namespace {

struct LeNet : nn::Module {
  Generator generator{7};
  nn::Conv2d first{1, 4, 5, generator, {.padding = 2}}, second{4, 6, 3, generator};
  nn::Linear up{6 * 5 * 5, 11, generator}, down{11, 5, generator};

  Tensor forward(const Tensor& x) override {
    Tensor h = max_pool2d(relu(first(x)), 2);
    h = max_pool2d(relu(second(h)), 2, {.padding = 1});
    return down(relu(up(reshape(h, {x.size(0), 6 * 5 * 5}))));
  }
  void visit(nn::MemberVisitor& v) override {
    v.module("first", first);
    v.module("second", second);
    v.module("up", up);
    v.module("down", down);
  }
};

// Two convolutions beside a shortcut, which has half the pixels and twice the channels, and the mean of each channel.
struct ResNetBlock : nn::Module {
  Generator generator{8};
  nn::Conv2d first{3, 6, 3, generator, {.stride = 2, .padding = 1, .bias = false}},
      second{6, 6, 3, generator, {.padding = 1, .bias = false}},
      across{3, 6, 1, generator, {.stride = 2, .bias = false}};
  nn::BatchNorm2d first_norm{6}, second_norm{6}, across_norm{6};

  Tensor forward(const Tensor& x) override {
    const Tensor h = second_norm(second(relu(first_norm(first(x)))));
    const Tensor y = relu(h + across_norm(across(x)));
    return avg_pool2d(y, {y.size(2), y.size(3)});
  }
  void visit(nn::MemberVisitor& v) override {
    v.module("first", first);
    v.module("first_norm", first_norm);
    v.module("second", second);
    v.module("second_norm", second_norm);
    v.module("across", across);
    v.module("across_norm", across_norm);
  }
};

void expect_same_training(nn::Module& here, nn::Module& there, const Shape& shape, DType dtype, Device gpu) {
  SCOPED_TRACE(std::string(name_of(dtype)));
  const double tolerance = dtype == DType::f64 ? 1e-11 : 2e-5;
  here.to(dtype);
  there.to(dtype).to(gpu);
  for (const int step : {1, 2}) {  // gradients add up, and averages move
    Tensor x = numbers(shape, dtype, step), x_there = x.to(gpu);
    x.set_requires_grad();
    x_there.set_requires_grad();
    const Tensor y = here(x), y_there = there(x_there);
    expect_close(y_there, y, tolerance);
    const Tensor g = numbers(y.shape(), dtype, 3);
    y.backward(g);
    y_there.backward(g.to(gpu));
    expect_close(x_there.grad(), x.grad(), tolerance);
  }
  const auto parameters = here.parameters(), of_gpu = there.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    SCOPED_TRACE(parameters[i].name);
    expect_close(of_gpu[i].tensor.grad(), parameters[i].tensor.grad(), tolerance);
  }
  const auto state = here.state_dict(), state_there = there.state_dict();
  for (std::size_t i = 0; i < state.size(); ++i) {
    SCOPED_TRACE(state[i].name);
    expect_close(state_there[i].tensor, state[i].tensor, tolerance);
  }
  here.eval();
  there.eval();
  const Tensor x = numbers(shape, dtype, 5);
  expect_close(there(x.to(gpu)), here(x), tolerance);
}

template <typename Network>
void expect_same_training(const Shape& shape, Device gpu) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Network here, there;
    expect_same_training(here, there, shape, dtype, gpu);
  }
}

template <typename Reduce>
constexpr bool reduces = requires {
  &Reduce::cuda;
};

TEST_F(GpuTest, LeNetLearnsAsOnTheCpu) {
  // The gradient of a bias is a sum.
  if (!reduces<kernels::Reduce>) GTEST_SKIP() << "no sums on a GPU";
  expect_same_training<LeNet>({3, 1, 20, 20}, gpu);
}

TEST_F(GpuTest, ResNetBlockLearnsAsOnTheCpu) { expect_same_training<ResNetBlock>({3, 3, 9, 8}, gpu); }

}  // namespace
}  // namespace tutti::test
