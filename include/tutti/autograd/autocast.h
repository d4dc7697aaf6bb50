/// \file
/// Mixed precision: products in 16 bits, parameters in f32.
#pragma once

#include <optional>

#include "tutti/core/dtype.h"

namespace tutti {

/// The dtype to which operations of this thread convert the operands of products; none outside of an
/// Autocast.
std::optional<DType> autocast_dtype();

/// While it lives, products of this thread are made in 16 bits:
///
///     Tensor loss;
///     {
///       Autocast autocast(DType::bf16);
///       loss = cross_entropy(model(tokens), targets);
///     }
///     loss.backward();
///
/// `matmul`, `linear`, `linear_gelu`, `mlp`, `conv2d` and `scaled_dot_product_attention` convert f32 and 16-bit operands to `dtype`
/// and give that; sums within are in f32. f64 operands are left alone. All else takes the precision that it
/// gets, and where f32 meets 16 bits, arithmetic and losses go on in f32. Conversions have gradients, so f32
/// parameters get f32 gradients; the backward pass takes no notice of the mode, and recompute restores it.
///
/// f16 reaches 65504 only, and gradients below 6e-8 vanish in it: take bf16 unless that is known to do.
class [[nodiscard]] Autocast {
 public:
  /// An inner one holds until it ends; std::nullopt switches the mode off.
  /// \throws DTypeError unless `dtype` is bf16 or f16.
  explicit Autocast(std::optional<DType> dtype);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  std::optional<DType> before_;
};

}  // namespace tutti
