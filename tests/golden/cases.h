// What cases.py writes, and comparing with it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/golden.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/reduce.h"

namespace tutti::test {

using Inputs = std::vector<Tensor>;

struct Case {
  const char* name;
  Tensor (*function)(const Inputs& in);
};

// `call` of in[0], in[1], ...
#define TUTTI_CASE(name, call)                            \
  test::Case {                                            \
    name, [](const Inputs& in) -> Tensor { return call; } \
  }

inline void PrintTo(const Case& value, std::ostream* stream) { *stream << value.name; }

// The output, and the gradients of sum(output * weights) where PyTorch has any.
inline void expect_equal(const Case& one, const Goldens& goldens) {
  const std::string name = one.name;
  Inputs inputs = goldens.list(name + "/in");
  const auto gradient = [&name](std::size_t i) { return name + "/grad" + std::to_string(i); };
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] = inputs[i].clone();
    if (goldens.has(gradient(i))) inputs[i].set_requires_grad();
  }
  const Tensor out = one.function(inputs);
  expect_close(out.detach(), goldens.at(name + "/out"), "output");
  ASSERT_EQ(out.requires_grad(), goldens.has(name + "/weights"));
  if (!out.requires_grad()) return;
  sum(out * goldens.at(name + "/weights")).backward();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (goldens.has(gradient(i))) expect_close(inputs[i].grad(), goldens.at(gradient(i)), gradient(i));
  }
}

}  // namespace tutti::test
