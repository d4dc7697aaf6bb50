// Which parameters are whole at the same time.
#pragma once

#include <cstddef>
#include <vector>

#include "tutti/nn/module.h"

namespace tutti::parallel {

// Parameters that are needed only while `module` computes.
struct Unit {
  nn::Module* module;
  NamedTensors parameters;
};

// Cuts a model into modules with at most `bytes` of trained parameters, each with all that is in it. What stands in a
// module that is larger, beside those in it, or is used by several of them, is that module's own. The model is first.
std::vector<Unit> find_units(nn::Module& model, const NamedTensors& trained, std::size_t bytes);

}  // namespace tutti::parallel
