// Every operation and its gradient against PyTorch: ops.py has the same cases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/golden/cases.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/attention.h"
#include "tutti/autograd/batch_norm.h"
#include "tutti/autograd/conv.h"
#include "tutti/autograd/index.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/pool.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/autograd/softmax.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using test::Case;
using test::Inputs;

Tensor boolean(bool value) { return full({}, value ? 1 : 0, {.dtype = DType::bool_}); }

const Case op_cases[] = {
    // arithmetic.h
    TUTTI_CASE("add", in[0] + in[1]),
    TUTTI_CASE("add_broadcast", in[0] + in[1]),
    TUTTI_CASE("add_i64", in[0] + in[1]),
    TUTTI_CASE("sub_broadcast", in[0] - in[1]),
    TUTTI_CASE("mul", in[0] * in[1]),
    TUTTI_CASE("mul_broadcast", in[0] * in[1]),
    TUTTI_CASE("mul_by_0d", in[0] * in[1]),
    TUTTI_CASE("div_broadcast", in[0] / in[1]),
    TUTTI_CASE("pow", pow(in[0], in[1])),
    TUTTI_CASE("pow_of_zero", pow(in[0], in[1])),
    TUTTI_CASE("pow_broadcast", pow(in[0], in[1])),
    TUTTI_CASE("maximum", maximum(in[0], in[1])),
    TUTTI_CASE("minimum_broadcast", minimum(in[0], in[1])),
    TUTTI_CASE("add_scalar", in[0] + 1.5),
    TUTTI_CASE("sub_scalar", in[0] - 1.5),
    TUTTI_CASE("scalar_sub", 1.5 - in[0]),
    TUTTI_CASE("mul_scalar", in[0] * -2.5),
    TUTTI_CASE("div_scalar", in[0] / 3.0),
    TUTTI_CASE("scalar_div", 3.0 / in[0]),
    TUTTI_CASE("pow_cube", pow(in[0], 3.0)),
    TUTTI_CASE("pow_square", pow(in[0], 2.0)),
    TUTTI_CASE("pow_root", pow(in[0], 0.5)),
    TUTTI_CASE("pow_inverse", pow(in[0], -1.0)),
    TUTTI_CASE("pow_0", pow(in[0], 0.0)),
    TUTTI_CASE("eq", eq(in[0], in[1])),
    TUTTI_CASE("ne", ne(in[0], in[1])),
    TUTTI_CASE("lt", lt(in[0], in[1])),
    TUTTI_CASE("le", le(in[0], in[1])),
    TUTTI_CASE("gt", gt(in[0], in[1])),
    TUTTI_CASE("ge", ge(in[0], in[1])),
    TUTTI_CASE("eq_scalar", eq(in[0], 0.5)),
    TUTTI_CASE("ne_scalar", ne(in[0], 0.5)),
    TUTTI_CASE("lt_scalar", lt(in[0], 0.5)),
    TUTTI_CASE("le_scalar", le(in[0], 0.5)),
    TUTTI_CASE("gt_scalar", gt(in[0], 0.5)),
    TUTTI_CASE("ge_scalar", ge(in[0], 0.5)),
    TUTTI_CASE("where", where(in[0], in[1], in[2])),
    TUTTI_CASE("where_broadcast", where(in[0], in[1], in[2])),
    // math.h
    TUTTI_CASE("neg", neg(in[0])),
    TUTTI_CASE("abs", abs(in[0])),
    TUTTI_CASE("sign", sign(in[0])),
    TUTTI_CASE("square", square(in[0])),
    TUTTI_CASE("exp", exp(in[0])),
    TUTTI_CASE("log", log(in[0])),
    TUTTI_CASE("sqrt", sqrt(in[0])),
    TUTTI_CASE("rsqrt", rsqrt(in[0])),
    TUTTI_CASE("reciprocal", reciprocal(in[0])),
    TUTTI_CASE("sin", sin(in[0])),
    TUTTI_CASE("cos", cos(in[0])),
    TUTTI_CASE("tanh", tanh(in[0])),
    TUTTI_CASE("erf", erf(in[0])),
    TUTTI_CASE("floor", floor(in[0])),
    TUTTI_CASE("sigmoid", sigmoid(in[0])),
    TUTTI_CASE("relu", relu(in[0])),
    TUTTI_CASE("gelu", gelu(in[0])),
    TUTTI_CASE("gelu_tanh", gelu(in[0], Gelu::tanh)),
    TUTTI_CASE("silu", silu(in[0])),
    TUTTI_CASE("clamp", clamp(in[0], -1, 0.5)),
    TUTTI_CASE("logical_not", logical_not(in[0])),
    // shape.h
    TUTTI_CASE("reshape", reshape(in[0], {4, -1})),
    TUTTI_CASE("reshape_transposed", reshape(transpose(in[0], 0, 1), {4, 3})),
    TUTTI_CASE("transpose", transpose(in[0], 0, -1)),
    TUTTI_CASE("permute", permute(in[0], {2, 0, 1})),
    TUTTI_CASE("expand", expand(in[0], {3, -1, 4})),
    TUTTI_CASE("slice", slice(in[0], 1, 1, -1, 2)),
    TUTTI_CASE("slice_clipped", slice(in[0], 0, -2, 99)),
    TUTTI_CASE("select", select(in[0], 1, -1)),
    TUTTI_CASE("unsqueeze", unsqueeze(in[0], -1)),
    TUTTI_CASE("squeeze", squeeze(in[0], 1)),
    TUTTI_CASE("flatten", flatten(in[0], 1, 2)),
    TUTTI_CASE("contiguous", contiguous(transpose(in[0], 0, 1))),
    TUTTI_CASE("clone", clone(in[0])),
    TUTTI_CASE("to_f64", to(to(in[0], DType::f64), DType::f32)),
    TUTTI_CASE("to_bf16", to(to(in[0], DType::bf16), DType::f32)),
    TUTTI_CASE("to_f16", to(to(in[0], DType::f16), DType::f32)),
    TUTTI_CASE("to_i64", to(in[0], DType::i64)),
    TUTTI_CASE("cat", cat(in, 1)),
    TUTTI_CASE("cat_of_one_twice", cat({in[0], 2.0 * in[0]})),
    TUTTI_CASE("stack", stack(in, -1)),
    TUTTI_CASE("split", cat({split(in[0], 2, 1)[2], split(in[0], 2, 1)[1], split(in[0], 2, 1)[0]}, 1)),
    // reduce.h
    TUTTI_CASE("sum", sum(in[0])),
    TUTTI_CASE("sum_dims", sum(in[0], {0, 2})),
    TUTTI_CASE("sum_keepdim", sum(in[0], {-1}, true)),
    TUTTI_CASE("sum_i32", sum(in[0], {1})),
    TUTTI_CASE("sum_bool", sum(in[0])),
    TUTTI_CASE("mean", mean(in[0])),
    TUTTI_CASE("mean_dims", mean(in[0], {1, 2}, true)),
    TUTTI_CASE("amax", amax(in[0])),
    TUTTI_CASE("amax_dim", amax(in[0], {1})),
    TUTTI_CASE("amin", amin(in[0])),
    TUTTI_CASE("amin_dims", amin(in[0], {0, 2}, true)),
    TUTTI_CASE("var", var(in[0], {1})),
    TUTTI_CASE("var_population", var(in[0], {0, 1}, 0, true)),
    TUTTI_CASE("argmax", argmax(in[0], 1)),
    TUTTI_CASE("argmax_keepdim", argmax(in[0], 0, true)),
    TUTTI_CASE("all", boolean(all(in[0]))),
    TUTTI_CASE("all_true", boolean(all(in[0]))),
    TUTTI_CASE("any", boolean(any(in[0]))),
    TUTTI_CASE("any_false", boolean(any(in[0]))),
    TUTTI_CASE("sum_to", sum_to(in[0], {3, 1})),
    // matmul.h
    TUTTI_CASE("matmul", matmul(in[0], in[1])),
    TUTTI_CASE("matmul_batched", matmul(in[0], in[1])),
    TUTTI_CASE("matmul_broadcast", matmul(in[0], in[1])),
    TUTTI_CASE("matmul_by_matrix", matmul(in[0], in[1])),
    TUTTI_CASE("matmul_transposed", matmul(transpose(in[0], 0, 1), transpose(in[1], 0, 1))),
    TUTTI_CASE("matmul_row", matmul(in[0], in[1])),
    TUTTI_CASE("matmul_column", matmul(in[0], in[1])),
    TUTTI_CASE("matmul_dot", matmul(in[0], in[1])),
    TUTTI_CASE("linear", linear(in[0], in[1], in[2])),
    TUTTI_CASE("linear_no_bias", linear(in[0], in[1])),
    // softmax.h
    TUTTI_CASE("softmax", softmax(in[0])),
    TUTTI_CASE("softmax_dim_0", softmax(in[0], 0)),
    TUTTI_CASE("softmax_large", softmax(in[0])),
    TUTTI_CASE("log_softmax", log_softmax(in[0])),
    TUTTI_CASE("log_softmax_dim_1", log_softmax(in[0], 1)),
    TUTTI_CASE("attention", scaled_dot_product_attention(in[0], in[1], in[2])),
    TUTTI_CASE("attention_causal", scaled_dot_product_attention(in[0], in[1], in[2], {.causal = true})),
    TUTTI_CASE("attention_scale",
               scaled_dot_product_attention(in[0], in[1], in[2], {.causal = true, .scale = 0.3})),
    // index.h
    TUTTI_CASE("embedding", embedding(in[0], in[1])),
    TUTTI_CASE("embedding_i32", embedding(in[0], in[1])),
    TUTTI_CASE("index_select", index_select(in[0], 1, in[1])),
    TUTTI_CASE("gather_dim_0", gather(in[0], 0, in[1])),
    TUTTI_CASE("gather_dim_1", gather(in[0], 1, in[1])),
    // conv.h
    TUTTI_CASE("conv2d", conv2d(in[0], in[1], in[2])),
    TUTTI_CASE("conv2d_no_bias", conv2d(in[0], in[1])),
    TUTTI_CASE("conv2d_pointwise", conv2d(in[0], in[1], in[2])),
    TUTTI_CASE(
        "conv2d_all_options",
        conv2d(in[0], in[1], in[2], {.stride = {2, 1}, .padding = {1, 3}, .dilation = {1, 2}, .groups = 2})),
    TUTTI_CASE("conv2d_depthwise", conv2d(in[0], in[1], {}, {.stride = 2, .padding = 2, .groups = 3})),
    // pool.h
    TUTTI_CASE("max_pool2d", max_pool2d(in[0], 2)),
    TUTTI_CASE("max_pool2d_ties", max_pool2d(in[0], 2)),
    TUTTI_CASE("max_pool2d_padded", max_pool2d(in[0], {3, 2}, {.stride = {2, 1}, .padding = 1})),
    TUTTI_CASE("avg_pool2d", avg_pool2d(in[0], 2)),
    TUTTI_CASE("avg_pool2d_padded", avg_pool2d(in[0], 3, {.stride = 2, .padding = 1})),
    // batch_norm.h
    TUTTI_CASE("batch_norm", batch_norm(in[0], {}, {}, in[1], in[2], {.training = true})),
    TUTTI_CASE("batch_norm_plain", batch_norm(in[0], {}, {}, {}, {}, {.training = true, .eps = 0.1})),
    TUTTI_CASE("batch_norm_running", batch_norm(in[0], in[1], in[2], in[3], in[4])),
};

const test::Goldens& op_goldens() {
  static const test::Goldens goldens(TUTTI_GOLDEN "/ops.safetensors");
  return goldens;
}

class Ops : public testing::TestWithParam<Case> {};

TEST_P(Ops, Equal) { test::expect_equal(GetParam(), op_goldens()); }

INSTANTIATE_TEST_SUITE_P(PyTorch, Ops, testing::ValuesIn(op_cases),
                         [](const auto& info) { return info.param.name; });

TEST(OpsTable, HasAllThatPyTorchComputed) {
  std::vector<std::string> names;
  for (const Case& one : op_cases) names.emplace_back(one.name);
  EXPECT_THAT(names, testing::UnorderedElementsAreArray(op_goldens().cases()));
}

}  // namespace
}  // namespace tutti
