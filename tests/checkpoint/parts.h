// Stand-ins for a model, an optimizer and a loader.
#pragma once

#include <string>
#include <utility>

#include "tutti/tensor/creation.h"
#include "tutti/tensor/named_tensor.h"

namespace tutti::test {

class Part {
 public:
  Part(const char* what, NamedTensors tensors) : what_(what), tensors_(std::move(tensors)) {}

  NamedTensors state_dict() const { return tensors_; }
  void load_state_dict(const NamedTensors& state) { copy_by_name(what_, tensors_, state); }

  Part& fill(double value) {
    for (auto& [name, tensor] : tensors_) tensor.fill_(value);
    return *this;
  }
  // Whether every element of every tensor is `value`.
  bool holds(double value) const {
    for (const auto& [name, tensor] : tensors_) {
      for (const double element : tensor.to(DType::f64).to_vector<double>()) {
        if (element != value) return false;
      }
    }
    return true;
  }

 private:
  const char* what_;
  NamedTensors tensors_;
};

inline Part a_model(std::int64_t width = 4) {
  return {"model", {{"fc.weight", zeros({width, 3})}, {"fc.bias", zeros({width}, {.dtype = DType::f64})}}};
}
inline Part an_optimizer() { return {"optimizer", {{"exp_avg.fc.weight", zeros({4, 3})}}}; }
inline Part a_loader() { return {"loader", {{"position", zeros({}, {.dtype = DType::i64})}}}; }

// Tensors whose elements are all different, from `first` on. Many are in a segment of an encrypted file, some across several, none
// at a multiple of anything.
inline NamedTensors numbered(std::int64_t first) {
  NamedTensors tensors;
  for (const std::int64_t count : {0, 1, 3, 1000, 131'000, 0, 7, 700'001, 2, 260'000, 5}) {
    tensors.push_back(
        {std::to_string(tensors.size()),
         arange(static_cast<double>(first), static_cast<double>(first + count), 1, {.dtype = DType::i64})});
    first += count;
  }
  return tensors;
}

}  // namespace tutti::test
