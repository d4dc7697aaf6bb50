/// \file
/// Losses. What is predicted comes first, then what is right.
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti {

/// Over the elements of a loss: their mean, their sum, or none.
enum class Reduction : unsigned char { mean, sum, none };

struct CrossEntropyOptions {
  std::int64_t ignore_index = -100;  ///< targets of this value count for nothing, in the mean neither
  double label_smoothing = 0;        ///< in [0, 1]: the part of the weight that is spread over all classes
  Reduction reduction = Reduction::mean;
};

/// -log softmax(logits)[target], in one pass. `logits` [..., classes] (the classes are last, also where
/// PyTorch has them second), `targets` [...], i64 or i32. The mean over no targets at all is NaN, as in
/// PyTorch. Of bf16 and f16 logits the loss is f32. On a GPU nothing is waited for: there a target outside [0, classes) makes
/// NaN of its loss, so of the mean and the sum, and of the gradient of its logits.
/// \throws ShapeError for sizes that do not fit, and on the CPU for a target outside [0, classes), with its position.
Tensor cross_entropy(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options = {});

/// (x - target)^2, both of one shape.
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);

/// -(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), for targets in [0, 1] of the shape and dtype of `x`;
/// exact for large |x|. No gradient flows into the targets.
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target,
                                        Reduction reduction = Reduction::mean);

}  // namespace tutti
