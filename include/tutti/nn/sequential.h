/// \file
#pragma once

#include <concepts>
#include <memory>
#include <utility>
#include <vector>

#include "tutti/nn/module.h"

namespace tutti::nn {

/// Modules one after the other, named "0", "1", ...:
///
///     Generator rng(1);
///     nn::Sequential net(nn::Linear(784, 512, rng), nn::ReLU(), nn::Linear(512, 10, rng));
class Sequential : public Module {
 public:
  template <std::derived_from<Module>... Modules>
  explicit Sequential(Modules... modules) {
    (push_back(std::move(modules)), ...);
  }

  template <std::derived_from<Module> M>
  void push_back(M module) {
    modules_.push_back(std::make_unique<M>(std::move(module)));
  }
  std::size_t size() const { return modules_.size(); }
  /// \throws ShapeError outside [0, size()).
  Module& operator[](std::size_t index);

  Tensor forward(const Tensor& x) override;
  void visit(MemberVisitor& visitor) override;

 private:
  std::vector<std::unique_ptr<Module>> modules_;
};

}  // namespace tutti::nn
