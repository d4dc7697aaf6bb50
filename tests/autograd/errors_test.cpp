// What each operation says of operands that do not fit: the type of the error, its own name, and the values
// met.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "tutti/core/error.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

using testing::StartsWith;
using testing::ThrowsMessage;

struct Mistake {
  std::string message;
  std::function<void()> call;
};

template <typename E>
void expect_errors(const std::vector<Mistake>& mistakes) {
  for (const auto& mistake : mistakes) {
    EXPECT_THAT(mistake.call, ThrowsMessage<E>(StartsWith(mistake.message))) << mistake.message;
  }
}

// A tensor that claims to lie on a GPU, for checks that come before its elements are touched.
Tensor on_gpu(const Shape& shape, DType dtype = DType::f32) {
  struct {
    Device::Kind kind = Device::Kind::cuda;
    std::int16_t index = 0;
  } first;
  const auto device = std::bit_cast<Device>(first);
  auto bytes = std::make_shared<std::vector<double>>(static_cast<std::size_t>(shape.numel()));
  return Tensor(Storage::external(bytes->data(), bytes->size() * sizeof(double), device, bytes), dtype, shape,
                contiguous_strides(shape));
}

TensorOptions on_cpu(DType dtype) { return {dtype, Device::cpu()}; }

const Tensor x = zeros({2, 3}, on_cpu(DType::f32));
const Tensor doubles = zeros({2, 3}, on_cpu(DType::f64));
const Tensor ints = zeros({2, 3}, on_cpu(DType::i64));
const Tensor bools = zeros({2, 3}, on_cpu(DType::bool_));
const Tensor rows = zeros({2}, on_cpu(DType::i64));
const Tensor wide = zeros({2, 4}, on_cpu(DType::f32));
const Tensor none = zeros({0, 3}, on_cpu(DType::f32));

using BinaryFunction = Tensor (*)(const Tensor&, const Tensor&);
using UnaryFunction = Tensor (*)(const Tensor&);

const std::vector<std::pair<std::string, BinaryFunction>> binary{
    {"add", add},         {"sub", sub},         {"mul", mul}, {"div", div}, {"pow", pow},
    {"maximum", maximum}, {"minimum", minimum}, {"eq", eq},   {"ne", ne},   {"lt", lt},
    {"le", le},           {"gt", gt},           {"ge", ge}};

// Whatever device the other tests are for, what is no CPU's is another's here.
class OperandErrors : public ::testing::Test {
  const DefaultDevice on_cpu_{Device::cpu()};
};

TEST_F(OperandErrors, OfTwoElementwise) {
  const Tensor gpu = on_gpu({2, 3});
  for (const auto& [name, op] : binary) {
    const auto with = [op = op](const Tensor& other) { return [op, other] { op(x, other); }; };
    expect_errors<DTypeError>({{name + ": operands have different dtypes: f32 and f64", with(doubles)}});
    expect_errors<DeviceError>({{name + ": operands are on different devices: cpu and cuda:0", with(gpu)}});
    expect_errors<ShapeError>({{name + ": shapes do not broadcast: [2, 3] and [2, 4]", with(wide)}});
    expect_errors<Error>({{"tensor: used before it was given a value", with({})}});
  }
}

TEST_F(OperandErrors, OfTypesWithoutAnAnswer) {
  const std::pair<std::string, UnaryFunction> real[] = {
      {"exp", exp},
      {"log", log},
      {"sqrt", sqrt},
      {"rsqrt", rsqrt},
      {"reciprocal", reciprocal},
      {"sin", sin},
      {"cos", cos},
      {"tanh", tanh},
      {"erf", erf},
      {"floor", floor},
      {"sigmoid", sigmoid},
      {"silu", silu},
      {"gelu", [](const Tensor& t) { return gelu(t); }},
      {"mean", mean},
      {"var", [](const Tensor& t) { return var(t, {0}); }},
      {"softmax", [](const Tensor& t) { return softmax(t); }},
      {"log_softmax", [](const Tensor& t) { return log_softmax(t); }},
      {"layer_norm", [](const Tensor& t) { return layer_norm(t); }},
      {"rms_norm", [](const Tensor& t) { return rms_norm(t); }},
      {"add_layer_norm", [](const Tensor& t) { return add_layer_norm(t, t).sum; }},
      {"matmul", [](const Tensor& t) { return matmul(t, t); }},
      {"linear", [](const Tensor& t) { return linear(t, t); }},
      {"attention", [](const Tensor& t) { return scaled_dot_product_attention(t, t, t); }},
      {"cross_entropy", [](const Tensor& t) { return cross_entropy(t, rows); }},
      {"mse_loss", [](const Tensor& t) { return mse_loss(t, t); }},
      {"binary_cross_entropy_with_logits",
       [](const Tensor& t) { return binary_cross_entropy_with_logits(t, t); }},
      {"div", [](const Tensor& t) { return div(t, t); }},
      {"pow", [](const Tensor& t) { return pow(t, t); }}};
  for (const auto& [name, op] : real) {
    expect_errors<DTypeError>({{name + ": floating point is needed, got i64", [f = op] { f(ints); }}});
  }
  const std::pair<std::string, UnaryFunction> number[] = {
      {"neg", neg},
      {"abs", abs},
      {"sign", sign},
      {"square", square},
      {"relu", relu},
      {"amax", amax},
      {"amin", amin},
      {"add", [](const Tensor& t) { return t + t; }},
      {"sub", [](const Tensor& t) { return t - t; }},
      {"mul", [](const Tensor& t) { return t * t; }},
      {"maximum", [](const Tensor& t) { return maximum(t, t); }},
      {"minimum", [](const Tensor& t) { return minimum(t, t); }},
      {"clamp", [](const Tensor& t) { return clamp(t, 0, 1); }}};
  for (const auto& [name, op] : number) {
    expect_errors<DTypeError>(
        {{name + ": not defined for bool; convert with to(dtype)", [f = op] { f(bools); }}});
  }
  expect_errors<DTypeError>({
      {"logical_not: bool is needed, got f32", [] { logical_not(x); }},
      {"where: the condition must be bool, it is f32", [] { where(x, x, x); }},
      {"embedding: indices are i64 or i32, got f32", [] { embedding(x, x); }},
      {"index_select: indices are i64 or i32, got f32", [] { index_select(x, 0, zeros({2})); }},
      {"gather: indices are i64 or i32, got f32", [] { gather(x, 0, x); }},
      {"cross_entropy: targets are i64 or i32, got f32", [] { cross_entropy(x, zeros({2})); }},
  });
}

TEST_F(OperandErrors, OfFractionsBesideIntegers) {
  expect_errors<DTypeError>({
      {"add: 0.5 is no i64", [] { ints + 0.5; }},
      {"sub: 0.5 is no i64", [] { 0.5 - ints; }},
      {"mul: 0.5 is no i64", [] { ints * 0.5; }},
      {"lt: 0.5 is no i64", [] { lt(ints, 0.5); }},
      {"clamp: inf is no i64", [] { clamp(ints, 0, INFINITY); }},
  });
  EXPECT_EQ((ints + 2).select(0, 0).to_vector<std::int64_t>(), (std::vector<std::int64_t>{2, 2, 2}));
}

TEST_F(OperandErrors, OfDtypesThatDiffer) {
  const Tensor d3 = zeros({3}, {.dtype = DType::f64});
  expect_errors<DTypeError>({
      {"where: operands have different dtypes: f32 and f64", [] { where(bools, x, doubles); }},
      {"matmul: operands have different dtypes", [] { matmul(x, doubles.transpose(0, 1)); }},
      {"linear: operands have different dtypes", [] { linear(x, doubles); }},
      {"linear: operands have different dtypes", [] { linear(x, x, zeros({2}, {.dtype = DType::f64})); }},
      {"attention: operands have different dtypes", [] { scaled_dot_product_attention(x, doubles, x); }},
      {"attention: operands have different dtypes", [] { scaled_dot_product_attention(x, x, doubles); }},
      {"layer_norm: operands have different dtypes", [&] { layer_norm(x, d3); }},
      {"layer_norm: operands have different dtypes", [&] { layer_norm(x, {}, d3); }},
      {"rms_norm: operands have different dtypes", [&] { rms_norm(x, d3); }},
      {"add_layer_norm: operands have different dtypes", [] { add_layer_norm(x, doubles); }},
      {"add_rms_norm: operands have different dtypes", [&] { add_rms_norm(x, x, d3); }},
      {"mse_loss: operands have different dtypes", [] { mse_loss(x, doubles); }},
      {"binary_cross_entropy_with_logits: operands have",
       [] { binary_cross_entropy_with_logits(x, doubles); }},
      {"cat: operands have different dtypes",
       [] {
         cat({x, doubles});
       }},
      {"stack: operands have different dtypes",
       [] {
         stack({x, doubles});
       }},
      {"add_: operands have different dtypes", [] { x.clone().add_(doubles); }},
  });
}

TEST_F(OperandErrors, OfDevicesThatDiffer) {
  const Tensor gpu = on_gpu({2, 3}), gpu3 = on_gpu({3}), gpu2 = on_gpu({2}, DType::i64);
  expect_errors<DeviceError>({
      {"where: operands are on different devices: cpu and cuda:0", [&] { where(bools, x, gpu); }},
      {"where: operands are on different devices",
       [&] {
         where(on_gpu({2, 3}, DType::bool_), x, x);
       }},
      {"matmul: operands are on different devices", [&] { matmul(x, gpu.transpose(0, 1)); }},
      {"linear: operands are on different devices", [&] { linear(x, gpu); }},
      {"linear: operands are on different devices", [&] { linear(x, x, on_gpu({2})); }},
      {"attention: operands are on different devices", [&] { scaled_dot_product_attention(x, gpu, x); }},
      {"attention: operands are on different devices", [&] { scaled_dot_product_attention(x, x, gpu); }},
      {"layer_norm: operands are on different devices", [&] { layer_norm(x, gpu3); }},
      {"layer_norm: operands are on different devices", [&] { layer_norm(x, {}, gpu3); }},
      {"rms_norm: operands are on different devices", [&] { rms_norm(x, gpu3); }},
      {"add_rms_norm: operands are on different devices", [&] { add_rms_norm(x, gpu); }},
      {"embedding: operands are on different devices", [&] { embedding(gpu2, x); }},
      {"index_select: operands are on different devices", [&] { index_select(x, 0, gpu2); }},
      {"gather: operands are on different devices",
       [&] {
         gather(x, 0, on_gpu({2, 3}, DType::i64));
       }},
      {"cross_entropy: operands are on different devices", [&] { cross_entropy(x, gpu2); }},
      {"mse_loss: operands are on different devices", [&] { mse_loss(x, gpu); }},
      {"binary_cross_entropy_with_logits: operands are", [&] { binary_cross_entropy_with_logits(x, gpu); }},
      {"cat: operands are on different devices",
       [&] {
         cat({x, gpu});
       }},
      {"stack: operands are on different devices",
       [&] {
         stack({x, gpu});
       }},
      {"add_: operands are on different devices", [&] { x.clone().add_(gpu); }},
  });
}

TEST_F(OperandErrors, OfSizesThatDoNotFit) {
  const Tensor cube = zeros({4, 2, 3}), five = zeros({5, 2, 3});
  expect_errors<ShapeError>({
      {"where: shapes do not broadcast: [2, 3] and [2, 4]", [] { where(bools, x, wide); }},
      {"matmul: inner sizes differ: [2, 3] x [2, 3]", [] { matmul(x, x); }},
      {"matmul: shapes do not broadcast: [4] and [5]", [&] { matmul(cube, five.transpose(1, 2)); }},
      {"matmul: a number is no matrix: [] x [2, 3]", [] { matmul(zeros({}), x); }},
      {"linear: x [..., in] needs a weight [out, in], got [2, 3] and [2, 4]", [] { linear(x, wide); }},
      {"linear: the bias must be [2], it is [2, 3]", [] { linear(x, x, x); }},
      {"attention: q [..., t, d], k [..., s, d], v", [] { scaled_dot_product_attention(x, wide, x); }},
      {"attention: shapes do not broadcast: [4] and [5]",
       [&] { scaled_dot_product_attention(cube, five, five); }},
      {"layer_norm: for x [2, 3] the weight must be [3], it is [2, 4]", [] { layer_norm(x, wide); }},
      {"layer_norm: for x [2, 3] the bias must be [3], it is [2, 4]", [] { layer_norm(x, {}, wide); }},
      {"rms_norm: for x [2, 3] the weight must be [3], it is [2, 4]", [] { rms_norm(x, wide); }},
      {"layer_norm: a number has no rows", [] { layer_norm(zeros({})); }},
      {"add_layer_norm: for x [2, 3] the residual must be of that shape, it is [2, 4]",
       [] { add_layer_norm(x, wide); }},
      {"embedding: the weight is [n, d], got [4, 2, 3]", [&] { embedding(rows, cube); }},
      {"embedding: index 2 at position 1 is outside [0, 2)",
       [] {
         embedding(tensor<std::int64_t>({0, 2}), x);
       }},
      {"index_select: the indices are a vector, got [2, 3]", [] { index_select(x, 0, ints); }},
      {"index_select: dimension 2 is outside [-2, 2)", [] { index_select(x, 2, rows); }},
      {"index_select: index -1 at position 0", [] { index_select(x, 0, tensor<std::int64_t>({-1})); }},
      {"gather: outside dimension 0 the index has the sizes of x [2, 4], got [2, 3]",
       [] { gather(wide, 0, ints); }},
      {"gather: dimension -3 is outside [-2, 2)", [] { gather(x, -3, ints); }},
      {"gather: index 2 at position 5",
       [] {
         gather(x, 0, tensor<std::int64_t>({0, 0, 0, 0, 0, 2}, {2, 3}));
       }},
      {"cross_entropy: logits [..., classes] need targets [...], got [2, 3] and [2, 3]",
       [] { cross_entropy(x, ints); }},
      {"cross_entropy: target 3 at position 1 is outside [0, 3)",
       [] {
         cross_entropy(x, tensor<std::int64_t>({0, 3}));
       }},
      {"mse_loss: the shapes differ: [2, 3] and [2, 4]", [] { mse_loss(x, wide); }},
      {"binary_cross_entropy_with_logits: the shapes differ",
       [] { binary_cross_entropy_with_logits(x, wide); }},
      {"cat: sizes outside dimension 0 differ: [2, 3] and [2, 4]",
       [] {
         cat({x, wide});
       }},
      {"cat: there is nothing to join", [] { cat({}); }},
      {"cat: dimension 2 is outside [-2, 2)", [] { cat({x}, 2); }},
      {"stack: the shapes differ: [2, 3] and [2, 4]",
       [] {
         stack({x, wide});
       }},
      {"stack: there is nothing to join", [] { stack({}); }},
      {"stack: dimension 3 is outside [-3, 3)", [] { stack({x}, 3); }},
      {"split: the size of a part must be at least 1, got 0", [] { split(x, 0); }},
      {"split: dimension 2 is outside [-2, 2)", [] { split(x, 1, 2); }},
      {"add_: [4, 2, 3] does not broadcast to [2, 3]", [&] { x.clone().add_(cube); }},
      {"copy_: [4, 2, 3] does not broadcast to [2, 3]", [&] { x.clone().copy_(cube); }},
  });
}

TEST_F(OperandErrors, OfDimensionsThatAreNotThere) {
  constexpr std::int64_t far = INT64_MAX, huge = std::int64_t{1} << 62;
  expect_errors<ShapeError>({
      {"softmax: dimension 2 is outside [-2, 2)", [] { softmax(x, 2); }},
      {"log_softmax: dimension -3 is outside [-2, 2)", [] { log_softmax(x, -3); }},
      {"sum: dimension 2 is outside [-2, 2)", [] { sum(x, {2}); }},
      {"sum: dimension -2 is named twice in [0, -2]",
       [] {
         sum(x, {0, -2});
       }},
      {"mean: dimension 2 is outside [-2, 2)", [] { mean(x, {2}); }},
      {"var: dimension 2 is outside [-2, 2)", [] { var(x, {2}); }},
      {"amax: dimension 2 is outside [-2, 2)", [] { amax(x, {2}); }},
      {"amin: dimension 2 is outside [-2, 2)", [] { amin(x, {2}); }},
      {"argmax: dimension 2 is outside [-2, 2)", [] { argmax(x, 2); }},
      {"amax: [0, 3] has no elements to choose from", [] { amax(none); }},
      {"amin: [0, 3] has no elements to choose from", [] { amin(none); }},
      {"argmax: [0, 3] has no elements to choose from", [] { argmax(none, 0); }},
      {"sum_to: [4, 2, 3] does not broadcast to [2, 3]",
       [] {
         sum_to(x, {4, 2, 3});
       }},
      {"sum_to: shapes do not broadcast: [2, 3] and [4]", [] { sum_to(x, {4}); }},
      {"reshape: [2, 3] has 6 elements, they do not fill [4, -1]",
       [] {
         reshape(x, {4, -1});
       }},
      {"reshape: [2, 3] has 6 elements, they do not fill [-1, -1]",
       [] {
         reshape(x, {-1, -1});
       }},
      {"shape: the sizes [4611686018427387904, 4] overflow 63 bits",
       [] {
         reshape(none, {huge, 4});
       }},
      {"transpose: dimension 2 is outside [-2, 2)", [] { transpose(x, 0, 2); }},
      {"permute: [0] does not name each dimension of [2, 3] once", [] { permute(x, {0}); }},
      {"permute: dimension 0 appears twice in [0, 0]",
       [] {
         permute(x, {0, 0});
       }},
      {"expand: [2, 3] does not expand to [2, 4]",
       [] {
         expand(x, {2, 4});
       }},
      {"expand: [2, 3] does not expand to [3]", [] { expand(x, {3}); }},
      {"shape: the sizes",
       [] {
         expand(zeros({1}), {huge, 4});
       }},
      {"slice: dimension 2 is outside [-2, 2)", [] { slice(x, 2, 0, 1); }},
      {"slice: the step must be at least 1, got 0", [] { slice(x, 0, 0, 1, 0); }},
      {"select: index 2 is outside dimension 0 of [2, 3]", [] { select(x, 0, 2); }},
      {"select: dimension 2 is outside [-2, 2)", [] { select(x, 2, 0); }},
      {"unsqueeze: dimension 3 is outside [-3, 3)", [] { unsqueeze(x, 3); }},
      {"squeeze: dimension 0 of [2, 3] is not 1", [] { squeeze(x, 0); }},
      {"squeeze: dimension 2 is outside [-2, 2)", [] { squeeze(x, 2); }},
      {"flatten: dimension 1 lies behind 0", [] { flatten(x, 1, 0); }},
      {"flatten: dimension 2 is outside [-2, 2)", [] { flatten(x, 2); }},
  });
  EXPECT_EQ(slice(x, 1, 0, far, far).shape(), (Shape{2, 1}));
  EXPECT_EQ(slice(x, 1, INT64_MIN, far, 2).shape(), (Shape{2, 2}));
}

TEST_F(OperandErrors, OfUndefinedTensors) {
  const Tensor undefined;
  expect_errors<Error>({{"tensor: used before it was given a value", [&] { matmul(x, undefined); }},
                        {"tensor: used before it was given a value",
                         [&] {
                           cat({x, undefined});
                         }},
                        {"tensor: used before it was given a value", [&] { relu(undefined); }},
                        {"tensor: used before it was given a value", [&] { cross_entropy(x, undefined); }}});
}

TEST_F(OperandErrors, OfOptions) {
  expect_errors<ConfigError>({
      {"clamp: the range [1, 0] is empty", [] { clamp(x, 1, 0); }},
      {"cross_entropy: label_smoothing lies in [0, 1], got 2",
       [] { cross_entropy(x, rows, {.label_smoothing = 2}); }},
  });
}

}  // namespace
}  // namespace tutti
