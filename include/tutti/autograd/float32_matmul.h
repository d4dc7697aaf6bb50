/// \file
/// The precision of f32 products on GPUs.
#pragma once

namespace tutti {

/// `tf32` rounds the operands to 11 significant bits of 24, keeps the range, and adds in f32, on tensor
/// cores, with relative errors of 1e-3 in place of 1e-6. PyTorch's "highest" and "high".
enum class Float32Precision : unsigned char { full, tf32 };

/// How this thread makes products of f32: `full`, or with the environment variable `TUTTI_TF32=1` `tf32`, outside of
/// a Float32Matmul.
Float32Precision float32_matmul_precision();

/// While it lives, products of f32 operands of this thread are of this precision:
///
///     Float32Matmul precision(Float32Precision::tf32);
///     Tensor y = linear(x, weight);
///
/// Gradients of a product are made in its own precision, whatever the backward pass stands in. Other dtypes take no
/// notice, nor does the CPU, whose products are always full.
class [[nodiscard]] Float32Matmul {
 public:
  /// An inner one holds until it ends.
  explicit Float32Matmul(Float32Precision precision);
  ~Float32Matmul();
  Float32Matmul(const Float32Matmul&) = delete;
  Float32Matmul& operator=(const Float32Matmul&) = delete;

 private:
  Float32Precision before_;
};

}  // namespace tutti
