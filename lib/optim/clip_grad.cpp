#include "optim/clip_grad.h"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "kernels/optim.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/core/tree.h"
#include "tutti/optim/clip_grad.h"

namespace tutti::optim {

using kernels::SumSquares;

void grad_squares(const NamedTensor& parameter, double* sums) {
  const Tensor grad = contiguous(parameter.tensor.grad().detach());
  if (grad.dtype() != DType::f32 && grad.dtype() != DType::f64) {
    throw DTypeError(fmt::format("grad_norm: gradients are f32 or f64, that of {} is {}", parameter.name,
                                 name_of(grad.dtype())));
  }
  kernels::launch<SumSquares>(grad.device(), grad.dtype(), grad.raw_data(), grad.numel(), sums);
}

void check_max_norm(double max_norm) {
  if (max_norm >= 0) return;
  throw ConfigError(fmt::format("clip_grad_norm_: max_norm is not negative, got {}", max_norm));
}

void clip_to(const NamedTensors& parameters, double max_norm, double norm) {
  const double scale = max_norm / (norm + 1e-6);  // PyTorch's guard against a norm of 0
  if (scale >= 1) return;
  for (const auto& [name, tensor] : parameters) {
    if (Tensor grad = tensor.grad(); grad.defined()) grad.mul_(scale);
  }
}

double grad_norm(const NamedTensors& parameters) {
  std::vector<double> squares;
  for (const auto& parameter : parameters) {
    if (!parameter.tensor.grad().defined()) continue;
    const auto first = squares.size();
    squares.resize(first + static_cast<std::size_t>(SumSquares::chunks(parameter.tensor.numel())));
    grad_squares(parameter, squares.data() + first);
  }
  return std::sqrt(tree_sum<double>(squares));
}

double clip_grad_norm_(const NamedTensors& parameters, double max_norm) {
  check_max_norm(max_norm);
  const double norm = grad_norm(parameters);
  clip_to(parameters, max_norm, norm);
  return norm;
}

}  // namespace tutti::optim
