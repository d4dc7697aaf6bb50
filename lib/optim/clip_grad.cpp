#include "tutti/optim/clip_grad.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "kernels/optim.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/core/tree.h"

namespace tutti::optim {
double grad_norm(const NamedTensors& parameters) {
  std::vector<double> squares;
  for (const auto& [name, tensor] : parameters) {
    if (!tensor.grad().defined()) continue;
    const Tensor grad = contiguous(tensor.grad().detach());
    if (grad.dtype() != DType::f32 && grad.dtype() != DType::f64) {
      throw DTypeError(
          fmt::format("grad_norm: gradients are f32 or f64, that of {} is {}", name, name_of(grad.dtype())));
    }
    squares.push_back(
        kernels::launch<kernels::SumSquares>(grad.device(), grad.dtype(), grad.raw_data(), grad.numel()));
  }
  return std::sqrt(tree_sum<double>(squares));
}

double clip_grad_norm_(const NamedTensors& parameters, double max_norm) {
  if (!(max_norm >= 0)) {
    throw ConfigError(fmt::format("clip_grad_norm_: max_norm is not negative, got {}", max_norm));
  }
  const double norm = grad_norm(parameters);
  const double scale = max_norm / (norm + 1e-6);  // PyTorch's guard against a norm of 0
  if (scale >= 1) return norm;
  for (const auto& [name, tensor] : parameters) {
    if (Tensor grad = tensor.grad(); grad.defined()) grad.mul_(scale);
  }
  return norm;
}

}  // namespace tutti::optim
