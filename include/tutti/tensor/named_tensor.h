/// \file
/// Tensors with names: what parameters, state dicts and files are lists of.
#pragma once

#include <concepts>
#include <string>
#include <vector>

#include "tutti/tensor/tensor.h"

namespace tutti {

/// A tensor and its name, dotted as in PyTorch: "transformer.h.0.attn.c_attn.weight".
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

using NamedTensors = std::vector<NamedTensor>;

/// Anything whose state can be saved and put back.
template <typename T>
concept Stateful = requires(T& object, const T& constant, const NamedTensors& state) {
  { constant.state_dict() } -> std::convertible_to<NamedTensors>;
  object.load_state_dict(state);
};

/// Copies into each tensor of `to` the one of the same name in `from`.
/// \throws DataError naming what is missing, unexpected (both only if `strict`), or of another shape; `what`
///         begins the message. Nothing is copied when it throws.
void copy_by_name(const char* what, const NamedTensors& to, const NamedTensors& from, bool strict = true);

}  // namespace tutti
