/// \file
/// The elementwise functions, and Flatten, as modules.
#pragma once

#include "tutti/autograd/math.h"
#include "tutti/autograd/shape.h"
#include "tutti/nn/module.h"

namespace tutti::nn {

struct ReLU : Module {
  Tensor forward(const Tensor& x) override { return relu(x); }
};

/// `GELU()` is exact, `GELU(Gelu::tanh)` the approximation that GPT-2 uses.
class GELU : public Module {
 public:
  explicit GELU(Gelu approximate = Gelu::exact) : approximate_(approximate) {}
  Tensor forward(const Tensor& x) override { return gelu(x, approximate_); }

 private:
  Gelu approximate_;
};

struct SiLU : Module {
  Tensor forward(const Tensor& x) override { return silu(x); }
};

struct Tanh : Module {
  Tensor forward(const Tensor& x) override { return tanh(x); }
};

struct Sigmoid : Module {
  Tensor forward(const Tensor& x) override { return sigmoid(x); }
};

/// [n, a, b, ...] to [n, a * b * ...].
struct Flatten : Module {
  Tensor forward(const Tensor& x) override { return flatten(x, 1); }
};

}  // namespace tutti::nn
