// Modules and the gradients of their parameters against PyTorch: modules.py has the same cases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "tests/support/golden.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/reduce.h"
#include "tutti/nn/activation.h"
#include "tutti/nn/attention.h"
#include "tutti/nn/batch_norm.h"
#include "tutti/nn/conv.h"
#include "tutti/nn/embedding.h"
#include "tutti/nn/linear.h"
#include "tutti/nn/norm.h"
#include "tutti/nn/pool.h"
#include "tutti/nn/sequential.h"

namespace tutti {
namespace {

struct ModuleCase {
  const char* name;
  std::unique_ptr<nn::Module> (*make)();
};

void PrintTo(const ModuleCase& value, std::ostream* stream) { *stream << value.name; }

// A lambda that makes the module.
#define TUTTI_MODULE(name, type, ...)                                                                       \
  ModuleCase {                                                                                              \
    name, []() -> std::unique_ptr<nn::Module> { return std::make_unique<nn::type>(nn::type(__VA_ARGS__)); } \
  }

const ModuleCase module_cases[] = {
    TUTTI_MODULE("linear", Linear, 5, 3, Generator(1)),
    TUTTI_MODULE("linear_no_bias", Linear, 5, 3, Generator(1), {.bias = false}),
    TUTTI_MODULE("embedding", Embedding, 6, 3, Generator(1)),
    TUTTI_MODULE("layer_norm", LayerNorm, 9),
    TUTTI_MODULE("layer_norm_no_bias", LayerNorm, 9, {.eps = 0.1, .bias = false}),
    TUTTI_MODULE("rms_norm", RMSNorm, 9),
    TUTTI_MODULE("attention", CausalSelfAttention, 32, 2, Generator(1)),
    TUTTI_MODULE("relu", ReLU),
    TUTTI_MODULE("gelu", GELU),
    TUTTI_MODULE("gelu_tanh", GELU, Gelu::tanh),
    TUTTI_MODULE("silu", SiLU),
    TUTTI_MODULE("tanh", Tanh),
    TUTTI_MODULE("sigmoid", Sigmoid),
    TUTTI_MODULE("flatten", Flatten),
    TUTTI_MODULE("sequential", Sequential, nn::Flatten(), nn::Linear(6, 4, Generator(1)), nn::GELU(),
                 nn::Linear(4, 2, Generator(2)), nn::Tanh()),
    TUTTI_MODULE("conv2d", Conv2d, 4, 6, {3, 2}, Generator(1), {.stride = 2, .padding = {1, 0}, .groups = 2}),
    TUTTI_MODULE("conv2d_no_bias", Conv2d, 2, 3, 3, Generator(1), {.bias = false}),
    TUTTI_MODULE("max_pool2d", MaxPool2d, 3, {.stride = 2, .padding = 1}),
    TUTTI_MODULE("avg_pool2d", AvgPool2d, 2),
    TUTTI_MODULE("batch_norm2d", BatchNorm2d, 3, {.momentum = 0.3}),
    TUTTI_MODULE("batch_norm2d_not_affine", BatchNorm2d, 3, {.affine = false}),
};

const test::Goldens& module_goldens() {
  static const test::Goldens goldens(TUTTI_GOLDEN "/modules.safetensors");
  return goldens;
}

class Modules : public testing::TestWithParam<ModuleCase> {};

TEST_P(Modules, Equal) {
  const std::string name = GetParam().name;
  const auto module = GetParam().make();
  NamedTensors state;
  for (const std::string& key : module_goldens().names(name + "/state/")) {
    state.push_back({key, module_goldens().at(name + "/state/" + key)});
  }
  module->load_state_dict(state);
  Tensor x = module_goldens().at(name + "/in0").clone();
  if (module_goldens().has(name + "/grad0")) x.set_requires_grad();
  const Tensor out = (*module)(x);
  test::expect_close(out.detach(), module_goldens().at(name + "/out"), "output");
  sum(out * module_goldens().at(name + "/weights")).backward();
  if (x.requires_grad())
    test::expect_close(x.grad(), module_goldens().at(name + "/grad0"), "gradient of the input");
  EXPECT_EQ(module->parameters().size(), module_goldens().names(name + "/grad/").size());
  for (const auto& parameter : module->parameters()) {
    test::expect_close(parameter.tensor.grad(), module_goldens().at(name + "/grad/" + parameter.name),
                       parameter.name);
  }
  const NamedTensors after = module->state_dict();
  for (const std::string& key : module_goldens().names(name + "/after/")) {
    const auto found = std::ranges::find(after, key, &NamedTensor::name);
    ASSERT_NE(found, after.end()) << key;
    test::expect_close(found->tensor, module_goldens().at(name + "/after/" + key), key);
  }
}

INSTANTIATE_TEST_SUITE_P(PyTorch, Modules, testing::ValuesIn(module_cases),
                         [](const auto& info) { return info.param.name; });

TEST(ModulesTable, HasAllThatPyTorchComputed) {
  std::vector<std::string> names;
  for (const ModuleCase& one : module_cases) names.emplace_back(one.name);
  EXPECT_THAT(names, testing::UnorderedElementsAreArray(module_goldens().cases()));
}

}  // namespace
}  // namespace tutti
