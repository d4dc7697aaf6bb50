/// \file
/// Modules that keep less for their gradients.
#pragma once

#include <concepts>
#include <memory>
#include <utility>

#include "tutti/nn/module.h"

namespace tutti::nn {

/// `(*module)(x)`, of which only `x` is kept: the backward pass runs the module again (see
/// tutti::recompute). The gradients have the same bits as without, and the module is left as one run leaves
/// it: for the second one, generators, buffers and modes are as they were before the first, and then again as
/// they are. The hooks of parameters run once, as ever; forward hooks of the module in either run.
/// \throws ConfigError without a module; else as tutti::recompute does.
Tensor recompute(const std::shared_ptr<Module>& module, const Tensor& x);

/// Another module, run by `recompute`:
///
///     nn::Sequential net(nn::Recompute(nn::Sequential(nn::Linear(784, 512, rng), nn::ReLU())),
///                        nn::Linear(512, 10, rng));
///
/// Names of members are those of the module within: a state dict fits with and without.
class Recompute : public Module {
 public:
  template <std::derived_from<Module> M>
  explicit Recompute(M module) : module_(std::make_shared<M>(std::move(module))) {}

  Tensor forward(const Tensor& x) override { return recompute(module_, x); }
  void visit(MemberVisitor& visitor) override { visitor.module("", *module_); }

 private:
  std::shared_ptr<Module> module_;  // shared with the tape, which may outlive this
};

}  // namespace tutti::nn
