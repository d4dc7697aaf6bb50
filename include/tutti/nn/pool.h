/// \file
/// Pooling, as modules.
#pragma once

#include "tutti/autograd/pool.h"
#include "tutti/nn/module.h"

namespace tutti::nn {

/// tutti::max_pool2d: `MaxPool2d(2)`, `MaxPool2d(3, {.stride = 2, .padding = 1})`.
class MaxPool2d : public Module {
 public:
  explicit MaxPool2d(Size2d window, const PoolOptions& options = {}) : window_(window), options_(options) {}
  Tensor forward(const Tensor& x) override { return max_pool2d(x, window_, options_); }

 private:
  Size2d window_;
  PoolOptions options_;
};

/// tutti::avg_pool2d.
class AvgPool2d : public Module {
 public:
  explicit AvgPool2d(Size2d window, const PoolOptions& options = {}) : window_(window), options_(options) {}
  Tensor forward(const Tensor& x) override { return avg_pool2d(x, window_, options_); }

 private:
  Size2d window_;
  PoolOptions options_;
};

}  // namespace tutti::nn
