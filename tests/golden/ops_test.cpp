// Every operation and its gradient against PyTorch: ops.py has the same cases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/index.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/autograd/softmax.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using Inputs = std::vector<Tensor>;

struct Case {
  const char* name;
  Tensor (*function)(const Inputs& in);
};

void PrintTo(const Case& value, std::ostream* stream) { *stream << value.name; }

#define CASE(name, call)                                  \
  Case {                                                  \
    name, [](const Inputs& in) -> Tensor { return call; } \
  }

Tensor boolean(bool value) { return full({}, value ? 1 : 0, {.dtype = DType::bool_}); }

const Case cases[] = {
    // arithmetic.h
    CASE("add", in[0] + in[1]),
    CASE("add_broadcast", in[0] + in[1]),
    CASE("add_i64", in[0] + in[1]),
    CASE("sub_broadcast", in[0] - in[1]),
    CASE("mul", in[0] * in[1]),
    CASE("mul_broadcast", in[0] * in[1]),
    CASE("mul_by_0d", in[0] * in[1]),
    CASE("div_broadcast", in[0] / in[1]),
    CASE("pow", pow(in[0], in[1])),
    CASE("pow_of_zero", pow(in[0], in[1])),
    CASE("pow_broadcast", pow(in[0], in[1])),
    CASE("maximum", maximum(in[0], in[1])),
    CASE("minimum_broadcast", minimum(in[0], in[1])),
    CASE("add_scalar", in[0] + 1.5),
    CASE("sub_scalar", in[0] - 1.5),
    CASE("scalar_sub", 1.5 - in[0]),
    CASE("mul_scalar", in[0] * -2.5),
    CASE("div_scalar", in[0] / 3.0),
    CASE("scalar_div", 3.0 / in[0]),
    CASE("pow_cube", pow(in[0], 3.0)),
    CASE("pow_square", pow(in[0], 2.0)),
    CASE("pow_root", pow(in[0], 0.5)),
    CASE("pow_inverse", pow(in[0], -1.0)),
    CASE("pow_0", pow(in[0], 0.0)),
    CASE("eq", eq(in[0], in[1])),
    CASE("ne", ne(in[0], in[1])),
    CASE("lt", lt(in[0], in[1])),
    CASE("le", le(in[0], in[1])),
    CASE("gt", gt(in[0], in[1])),
    CASE("ge", ge(in[0], in[1])),
    CASE("eq_scalar", eq(in[0], 0.5)),
    CASE("ne_scalar", ne(in[0], 0.5)),
    CASE("lt_scalar", lt(in[0], 0.5)),
    CASE("le_scalar", le(in[0], 0.5)),
    CASE("gt_scalar", gt(in[0], 0.5)),
    CASE("ge_scalar", ge(in[0], 0.5)),
    CASE("where", where(in[0], in[1], in[2])),
    CASE("where_broadcast", where(in[0], in[1], in[2])),
    // math.h
    CASE("neg", neg(in[0])),
    CASE("abs", abs(in[0])),
    CASE("sign", sign(in[0])),
    CASE("square", square(in[0])),
    CASE("exp", exp(in[0])),
    CASE("log", log(in[0])),
    CASE("sqrt", sqrt(in[0])),
    CASE("rsqrt", rsqrt(in[0])),
    CASE("reciprocal", reciprocal(in[0])),
    CASE("sin", sin(in[0])),
    CASE("cos", cos(in[0])),
    CASE("tanh", tanh(in[0])),
    CASE("erf", erf(in[0])),
    CASE("floor", floor(in[0])),
    CASE("sigmoid", sigmoid(in[0])),
    CASE("relu", relu(in[0])),
    CASE("gelu", gelu(in[0])),
    CASE("gelu_tanh", gelu(in[0], Gelu::tanh)),
    CASE("silu", silu(in[0])),
    CASE("clamp", clamp(in[0], -1, 0.5)),
    CASE("logical_not", logical_not(in[0])),
    // shape.h
    CASE("reshape", reshape(in[0], {4, -1})),
    CASE("reshape_transposed", reshape(transpose(in[0], 0, 1), {4, 3})),
    CASE("transpose", transpose(in[0], 0, -1)),
    CASE("permute", permute(in[0], {2, 0, 1})),
    CASE("expand", expand(in[0], {3, -1, 4})),
    CASE("slice", slice(in[0], 1, 1, -1, 2)),
    CASE("slice_clipped", slice(in[0], 0, -2, 99)),
    CASE("select", select(in[0], 1, -1)),
    CASE("unsqueeze", unsqueeze(in[0], -1)),
    CASE("squeeze", squeeze(in[0], 1)),
    CASE("flatten", flatten(in[0], 1, 2)),
    CASE("contiguous", contiguous(transpose(in[0], 0, 1))),
    CASE("clone", clone(in[0])),
    CASE("to_f64", to(to(in[0], DType::f64), DType::f32)),
    CASE("to_bf16", to(to(in[0], DType::bf16), DType::f32)),
    CASE("to_f16", to(to(in[0], DType::f16), DType::f32)),
    CASE("to_i64", to(in[0], DType::i64)),
    CASE("cat", cat(in, 1)),
    CASE("cat_of_one_twice", cat({in[0], 2.0 * in[0]})),
    CASE("stack", stack(in, -1)),
    CASE("split", cat({split(in[0], 2, 1)[2], split(in[0], 2, 1)[1], split(in[0], 2, 1)[0]}, 1)),
    // reduce.h
    CASE("sum", sum(in[0])),
    CASE("sum_dims", sum(in[0], {0, 2})),
    CASE("sum_keepdim", sum(in[0], {-1}, true)),
    CASE("sum_i32", sum(in[0], {1})),
    CASE("sum_bool", sum(in[0])),
    CASE("mean", mean(in[0])),
    CASE("mean_dims", mean(in[0], {1, 2}, true)),
    CASE("amax", amax(in[0])),
    CASE("amax_dim", amax(in[0], {1})),
    CASE("amin", amin(in[0])),
    CASE("amin_dims", amin(in[0], {0, 2}, true)),
    CASE("var", var(in[0], {1})),
    CASE("var_population", var(in[0], {0, 1}, 0, true)),
    CASE("argmax", argmax(in[0], 1)),
    CASE("argmax_keepdim", argmax(in[0], 0, true)),
    CASE("all", boolean(all(in[0]))),
    CASE("all_true", boolean(all(in[0]))),
    CASE("any", boolean(any(in[0]))),
    CASE("any_false", boolean(any(in[0]))),
    CASE("sum_to", sum_to(in[0], {3, 1})),
    // matmul.h
    CASE("matmul", matmul(in[0], in[1])),
    CASE("matmul_batched", matmul(in[0], in[1])),
    CASE("matmul_broadcast", matmul(in[0], in[1])),
    CASE("matmul_by_matrix", matmul(in[0], in[1])),
    CASE("matmul_transposed", matmul(transpose(in[0], 0, 1), transpose(in[1], 0, 1))),
    CASE("matmul_row", matmul(in[0], in[1])),
    CASE("matmul_column", matmul(in[0], in[1])),
    CASE("matmul_dot", matmul(in[0], in[1])),
    CASE("linear", linear(in[0], in[1], in[2])),
    CASE("linear_no_bias", linear(in[0], in[1])),
    // softmax.h
    CASE("softmax", softmax(in[0])),
    CASE("softmax_dim_0", softmax(in[0], 0)),
    CASE("softmax_large", softmax(in[0])),
    CASE("log_softmax", log_softmax(in[0])),
    CASE("log_softmax_dim_1", log_softmax(in[0], 1)),
    CASE("attention", scaled_dot_product_attention(in[0], in[1], in[2])),
    CASE("attention_causal", scaled_dot_product_attention(in[0], in[1], in[2], {.causal = true})),
    CASE("attention_scale",
         scaled_dot_product_attention(in[0], in[1], in[2], {.causal = true, .scale = 0.3})),
    // index.h
    CASE("embedding", embedding(in[0], in[1])),
    CASE("embedding_i32", embedding(in[0], in[1])),
    CASE("index_select", index_select(in[0], 1, in[1])),
    CASE("gather_dim_0", gather(in[0], 0, in[1])),
    CASE("gather_dim_1", gather(in[0], 1, in[1])),
};

const test::Goldens& goldens() {
  static const test::Goldens goldens(TUTTI_GOLDEN "/ops.safetensors");
  return goldens;
}

class Ops : public testing::TestWithParam<Case> {};

TEST_P(Ops, Equal) {
  const std::string name = GetParam().name;
  Inputs inputs = goldens().list(name + "/in");
  const auto gradient = [&name](std::size_t i) { return name + "/grad" + std::to_string(i); };
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] = inputs[i].clone();
    if (goldens().has(gradient(i))) inputs[i].set_requires_grad();
  }
  const Tensor out = GetParam().function(inputs);
  test::expect_close(out.detach(), goldens().at(name + "/out"), "output");
  ASSERT_EQ(out.requires_grad(), goldens().has(name + "/weights"));
  if (!out.requires_grad()) return;
  sum(out * goldens().at(name + "/weights")).backward();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (goldens().has(gradient(i)))
      test::expect_close(inputs[i].grad(), goldens().at(gradient(i)), gradient(i));
  }
}

INSTANTIATE_TEST_SUITE_P(PyTorch, Ops, testing::ValuesIn(cases),
                         [](const auto& info) { return info.param.name; });

TEST(OpsTable, HasAllThatPyTorchComputed) {
  std::vector<std::string> names;
  for (const Case& one : cases) names.emplace_back(one.name);
  EXPECT_THAT(names, testing::UnorderedElementsAreArray(goldens().cases()));
}

}  // namespace
}  // namespace tutti
