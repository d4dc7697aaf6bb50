// The parts of clipping, for gradients that are spread over ranks.
#pragma once

#include <vector>

#include "tutti/tensor/named_tensor.h"

namespace tutti::optim {

// A gradient, and the first of the sums of squares of its chunks, kernels::SumSquares::chunks(numel) of them.
struct GradSquares {
  Tensor grad;
  std::int64_t first;
};

// Computes these sums into `sums`, f64 on any device: with one launch for each device that gradients are on.
void grad_squares(const std::vector<GradSquares>& gradients, const Tensor& sums);

// Throws ConfigError for a negative one.
void check_max_norm(double max_norm);

// Scales gradients whose norm is `norm`.
void clip_to(const NamedTensors& parameters, double max_norm, double norm);

}  // namespace tutti::optim
