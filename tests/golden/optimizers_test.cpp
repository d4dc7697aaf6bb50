// Ten steps of every optimizer, and clipping, against PyTorch: optimizers.py has the same cases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/support/golden.h"
#include "tutti/optim/adam.h"
#include "tutti/optim/clip_grad.h"
#include "tutti/optim/sgd.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using optim::Adam;
using optim::AdamW;
using optim::Optimizer;
using optim::SGD;

struct OptimizerCase {
  const char* name;
  std::unique_ptr<Optimizer> (*make)(const NamedTensors& parameters);
};

void PrintTo(const OptimizerCase& value, std::ostream* stream) { *stream << value.name; }

template <typename O, typename... Options>
std::unique_ptr<Optimizer> make(const NamedTensors& parameters, const Options&... options) {
  return std::make_unique<O>(parameters, options...);
}

using P = const NamedTensors&;
const optim::AdamOptions adam_options{
    .lr = 0.03, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-4, .weight_decay = 0.3};
const optim::AdamWOptions adamw_options{
    .lr = 0.03, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-4, .weight_decay = 0.3};

const OptimizerCase optimizer_cases[] = {
    {"sgd", [](P p) { return make<SGD>(p, optim::SGDOptions{.lr = 0.1}); }},
    {"sgd_weight_decay", [](P p) { return make<SGD>(p, optim::SGDOptions{.lr = 0.1, .weight_decay = 0.2}); }},
    {"sgd_momentum", [](P p) { return make<SGD>(p, optim::SGDOptions{.lr = 0.1, .momentum = 0.9}); }},
    {"sgd_dampening",
     [](P p) {
       return make<SGD>(p,
                        optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.1});
     }},
    {"sgd_nesterov",
     [](P p) {
       return make<SGD>(p,
                        optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true});
     }},
    {"adam", [](P p) { return make<Adam>(p); }},
    {"adam_options", [](P p) { return make<Adam>(p, adam_options); }},
    {"adamw", [](P p) { return make<AdamW>(p); }},
    {"adamw_options", [](P p) { return make<AdamW>(p, adamw_options); }},
    {"adamw_groups",
     [](P p) -> std::unique_ptr<Optimizer> {
       using Group = optim::ParameterGroup<optim::AdamWOptions>;
       return std::make_unique<AdamW>(std::vector<Group>{{{p[0]}, {.lr = 0.02, .weight_decay = 0.5}},
                                                         {{p[1]}, {.lr = 0.01, .weight_decay = 0}}});
     }},
};

const test::Goldens& optimizer_goldens() {
  static const test::Goldens goldens(TUTTI_GOLDEN "/optimizers.safetensors");
  return goldens;
}

// The two parameters at their start, with the gradients of the first step.
NamedTensors parameters() {
  NamedTensors parameters;
  for (const char* name : {"a", "b"}) {
    Tensor x = optimizer_goldens().at(std::string("start/") + name).clone();
    x.set_requires_grad();
    x.set_grad(optimizer_goldens().at(std::string("grads/") + name).select(0, 0).clone());
    parameters.push_back({name, x});
  }
  return parameters;
}

class Optimizers : public testing::TestWithParam<OptimizerCase> {};

TEST_P(Optimizers, Equal) {
  const NamedTensors trained = parameters();
  const auto optimizer = GetParam().make(trained);
  for (int step = 0; step < 10; ++step) {
    for (const auto& [name, x] : trained)
      x.grad().copy_(optimizer_goldens().at("grads/" + name).select(0, step));
    optimizer->step();
    for (const auto& [name, x] : trained) {
      const Tensor want = optimizer_goldens().at(std::string(GetParam().name) + "/" + name).select(0, step);
      test::expect_close(x.detach(), want, name + " after step " + std::to_string(step + 1));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(PyTorch, Optimizers, testing::ValuesIn(optimizer_cases),
                         [](const auto& info) { return info.param.name; });

TEST(ClipGradNorm, EqualsPyTorch) {
  for (const auto& [name, bound] :
       std::vector<std::pair<std::string, double>>{{"clip_below", 1}, {"clip_above", 100}}) {
    const NamedTensors clipped = parameters();
    const double norm = optim::clip_grad_norm_(clipped, bound);
    EXPECT_NEAR(norm, optimizer_goldens().at(name + "/norm").item<double>(), 1e-5 * norm) << name;
    for (const auto& one : clipped) {
      test::expect_close(one.tensor.grad(), optimizer_goldens().at(name + "/" + one.name),
                         name + "/" + one.name);
    }
  }
}

TEST(OptimizersTable, HasAllThatPyTorchComputed) {
  std::vector<std::string> names{"start", "grads", "clip_below", "clip_above"};
  for (const OptimizerCase& one : optimizer_cases) names.emplace_back(one.name);
  EXPECT_THAT(names, testing::UnorderedElementsAreArray(optimizer_goldens().cases()));
}

}  // namespace
}  // namespace tutti
