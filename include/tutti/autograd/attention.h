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
/// f32, rounded once. On the CPU no [t, s] matrix is kept, and what causality hides is not computed.
/// \throws ShapeError where sizes do not fit; DTypeError unless all are of one floating-point dtype.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options = {});

}  // namespace tutti
