#include "tutti/autograd/conv.h"

#include "kernels/conv.h"
#include "kernels/launch.h"
#include "tests/cuda/gpu_test.h"
#include "tutti/core/size2d.h"

namespace tutti::test {
namespace {

struct ConvCase {
  const char* why;
  Shape x, weight;
  ConvOptions options = {};
};

const ConvCase conv_cases[] = {
    {"images that share columns", {3, 2, 5, 7}, {4, 2, 3, 3}, {.padding = 1}},
    {"images where they lie", {3, 2, 8, 8}, {3, 2, 3, 3}, {.padding = 1}},
    {"more images than units", {35, 2, 3, 3}, {2, 2, 2, 2}},
    {"strides, dilation, gaps",
     {2, 3, 9, 11},
     {2, 3, 2, 3},
     {.stride = {3, 2}, .padding = {1, 2}, .dilation = {2, 1}}},
    {"no columns", {19, 5, 4, 4}, {3, 5, 1, 1}},
    {"no columns, odd rows", {3, 5, 3, 3}, {3, 5, 1, 1}},
    {"groups without columns", {3, 6, 4, 4}, {4, 3, 1, 1}, {.groups = 2}},
    {"1 x 1 of every other pixel", {2, 3, 5, 5}, {4, 3, 1, 1}, {.stride = 2}},
    {"groups", {3, 6, 9, 8}, {6, 2, 3, 3}, {.padding = 1, .groups = 3}},
    {"depthwise", {17, 2, 3, 4}, {2, 1, 2, 1}, {.padding = 1, .groups = 2}},
    {"depthwise with a multiplier", {3, 2, 5, 6}, {4, 1, 2, 2}, {.stride = 2, .padding = 1, .groups = 2}},
    {"one pixel", {1, 1, 1, 1}, {1, 1, 1, 1}},
    {"nothing", {0, 2, 5, 5}, {3, 2, 3, 3}},
};

// A batch behind which in memory is one image more, not of it.
Tensor before_more(Shape shape, DType dtype, int seed) {
  const std::int64_t n = shape[0]++;
  return numbers(shape, dtype, seed).slice(0, 0, n);
}

void compare(const ConvCase& c, DType dtype, Device gpu, bool with_bias) {
  SCOPED_TRACE(std::string(c.why) + " " + std::string(name_of(dtype)));
  Tensor x = before_more(c.x, dtype, 0), weight = numbers(c.weight, dtype, 1);
  const Tensor bias = with_bias ? numbers({c.weight[0]}, dtype, 2) : Tensor();
  Tensor x_there = same_view(x, gpu), weight_there = weight.to(gpu);
  for (Tensor* one : {&x, &weight, &x_there, &weight_there}) one->set_requires_grad();
  const Tensor out = conv2d(x, weight, bias, c.options);
  const Tensor out_there = conv2d(x_there, weight_there, with_bias ? bias.to(gpu) : bias, c.options);
  const double tolerance = 8 * tolerance_of(dtype);  // sums cancel
  expect_close(out_there, out, tolerance);
  const Tensor g = before_more(out.shape(), dtype, 3);
  out.backward(g);
  out_there.backward(same_view(g, gpu));
  expect_close(x_there.grad(), x.grad(), tolerance);
  expect_close(weight_there.grad(), weight.grad(), tolerance);
}

TEST_F(GpuTest, ConvolutionsOfEachKind) {
  for (const ConvCase& c : conv_cases) {
    compare(c, DType::f32, gpu, true);
    compare(c, DType::bf16, gpu, true);
  }
}

TEST_F(GpuTest, ConvolutionsOfEachFloat) {
  for (const DType dtype : floats) {
    for (const ConvCase* c : {&conv_cases[0], &conv_cases[1], &conv_cases[4], &conv_cases[10]})
      compare(*c, dtype, gpu, false);
  }
}

// Of one image or a few, so that a batch takes many.
TEST_F(GpuTest, ConvolutionsInPieces) {
  const std::int64_t usual = kernels::Conv2d::workspace_bytes;
  for (const std::int64_t bytes : {1, 12000}) {
    kernels::Conv2d::workspace_bytes = bytes;
    for (const ConvCase* c : {&conv_cases[0], &conv_cases[1], &conv_cases[2], &conv_cases[8]})
      compare(*c, DType::f32, gpu, true);
  }
  kernels::Conv2d::workspace_bytes = usual;
}

}  // namespace
}  // namespace tutti::test
