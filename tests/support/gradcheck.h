// Gradients against central differences in f64.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/grad_mode.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/reduce.h"
#include "tutti/tensor/creation.h"

namespace tutti::test {

// Numbers of moderate size that differ from each other, from 0 and from the places where functions bend.
inline Tensor sample(const Shape& shape, double scale = 1.0, double shift = 0.0) {
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto k = static_cast<double>((i * 37 + 11) % 101);
    values[i] = shift + scale * ((k - 50.0) / 40.0 + 0.013);
  }
  return from(values, shape);
}

// Checks d/dx of sum(f(inputs) * w), for fixed uneven weights w, at every element of every input.
inline void expect_gradients(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                             std::vector<Tensor> inputs, double tolerance = 1e-6) {
  const auto loss = [&f](const std::vector<Tensor>& x) {
    const Tensor y = f(x);
    return sum(y * sample(y.shape(), 0.5, 1.1));
  };
  for (Tensor& input : inputs) input.set_requires_grad();
  loss(inputs).backward();
  NoGrad no_grad;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    ASSERT_TRUE(inputs[k].grad().defined()) << "no gradient for input " << k;
    ASSERT_EQ(inputs[k].grad().shape(), inputs[k].shape());
    const auto analytic = inputs[k].grad().to_vector<double>();
    const Tensor flat = inputs[k].detach().reshape({-1});  // the same memory, as inputs are dense
    for (std::int64_t i = 0; i < inputs[k].numel(); ++i) {
      Tensor element = flat.select(0, i);
      const double before = element.item<double>();
      constexpr double step = 1e-5;
      element.fill_(before + step);
      const double above = loss(inputs).item<double>();
      element.fill_(before - step);
      const double below = loss(inputs).item<double>();
      element.fill_(before);
      const double numeric = (above - below) / (2 * step);
      EXPECT_NEAR(analytic[static_cast<std::size_t>(i)], numeric, tolerance * (1 + std::abs(numeric)))
          << "input " << k << ", element " << i;
    }
  }
}

}  // namespace tutti::test
