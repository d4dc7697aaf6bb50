/// \file
/// Normalisation of each channel over a batch.
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti {

/// Options of batch_norm.
struct BatchNormOptions {
  bool training = false;
  double momentum = 0.1;  ///< weight of a batch in the running averages
  double eps = 1e-5;
};

/// (x - mean) / sqrt(variance + eps) * weight + bias for each channel c of `x` [n, c, ...]; `weight` and
/// `bias` [c], or undefined for none. In training, with the mean and population variance of this batch, and
/// `running_mean` and `running_var` [c] (where defined) move by `momentum` towards its mean and sample
/// variance; else with these two. All four are of the dtype of `x`, or f32 where that is bf16 or f16.
/// S. Ioffe and C. Szegedy 2015. \throws ShapeError for sizes that do not fit,
/// and in training for a single value per channel; ConfigError without
///         running averages outside of training.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight = {}, const Tensor& bias = {}, const BatchNormOptions& options = {});

}  // namespace tutti
