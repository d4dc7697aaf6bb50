/// \file
/// Softmax and attention.
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti {

/// exp(x) / sum(exp(x)) along `dim`, computed without overflow.
Tensor softmax(const Tensor& x, std::int64_t dim = -1);
Tensor log_softmax(const Tensor& x, std::int64_t dim = -1);

/// Options of scaled_dot_product_attention.
struct AttentionOptions {
  bool causal = false;  ///< position i sees positions <= i
  double scale = 0;     ///< 1 / sqrt(d) where 0
};

/// softmax(q k^T * scale) v for q [..., t, d], k [..., s, d], v [..., s, e]: [..., t, e]. Of bf16 and f16 in
/// f32, rounded once.
Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options = {});

}  // namespace tutti
