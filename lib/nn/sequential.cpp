#include "tutti/nn/sequential.h"

#include <fmt/format.h>

#include "tutti/core/error.h"

namespace tutti::nn {

Module& Sequential::operator[](std::size_t index) {
  if (index >= size()) {
    throw ShapeError(fmt::format("Sequential: there is no module {} among {}", index, size()));
  }
  return *modules_[index];
}

Tensor Sequential::forward(const Tensor& x) {
  Tensor y = x;
  for (const auto& module : modules_) y = (*module)(y);
  return y;
}

void Sequential::visit(MemberVisitor& visitor) {
  for (std::size_t i = 0; i < size(); ++i) visitor.module(std::to_string(i), *modules_[i]);
}

}  // namespace tutti::nn
