/// \file
/// Attention.
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti {

/// Options of scaled_dot_product_attention.
struct AttentionOptions {
  bool causal =
      false;  ///< query i sees the keys up to i + s - t: of as many keys as queries, those before it and its own
  double scale = 0;  ///< 1 / sqrt(d) where 0
};

/// softmax(q k^T * scale) v for q [..., t, d], k [..., s, d], v [..., s, e]: [..., t, e]. Of bf16 and f16 in
/// f32, rounded once; on a GPU the weights of v too are rounded, for tensor cores. No [t, s] matrix is kept, and what
/// causality hides is not computed; only on a GPU with d or e above 256 both are.
/// \throws ShapeError where sizes do not fit; DTypeError unless all are of one floating-point dtype.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options = {});

}  // namespace tutti
