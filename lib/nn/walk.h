// Walking a tree of modules.
#pragma once

#include <functional>

#include "tutti/nn/module.h"

namespace tutti::nn {

// Calls what is set for every member below a module, with its dotted name.
struct Walk {
  std::function<void(const std::string& name, Tensor&)> parameter;
  std::function<void(const std::string& name, Tensor&)> buffer;
  std::function<void(const std::string& name, Generator&)> generator;
  std::function<void(Module&)> module;

  void operator()(Module& root) const;
};

}  // namespace tutti::nn
