/// \file
#pragma once

#include "tutti/nn/module.h"

namespace tutti::nn {

struct BatchNorm2dOptions {
  double eps = 1e-5;
  double momentum = 0.1;  ///< weight of a batch in the running averages
  bool affine = true;     ///< whether there are `weight` and `bias`
};

/// tutti::batch_norm of images [n, channels, h, w]: by the batch in training, by the running averages in
/// evaluation. Members `weight` [channels], ones at first, and `bias`, zeros; buffers `running_mean`, zeros,
/// `running_var`, ones, and `num_batches_tracked`, i64 [].
class BatchNorm2d : public Module {
 public:
  /// \throws ConfigError unless `channels` is positive.
  explicit BatchNorm2d(std::int64_t channels, const BatchNorm2dOptions& options = {});
  /// \throws ShapeError for an `x` that is not [n, channels, h, w].
  Tensor forward(const Tensor& x) override;
  void visit(MemberVisitor& visitor) override;

  Tensor weight;  ///< undefined unless affine
  Tensor bias;    ///< undefined unless affine
  Tensor running_mean;
  Tensor running_var;
  Tensor num_batches_tracked;

 private:
  double eps_;
  double momentum_;
};

}  // namespace tutti::nn
