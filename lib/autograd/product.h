// Products of matrices and the gradients of linear layers, without the tape.
#pragma once

#include "kernels/matmul.h"
#include "tutti/tensor/tensor.h"

namespace tutti::autograd {

// a b, plus `bias` if there is one, for matrices and batches of them. On a CPU, bf16 and f16 by way of f32, rounded
// once; a batch of rows times one matrix is one product.
Tensor multiply(const Tensor& a, const Tensor& b, const Tensor& bias = {});

// The matrix of all rows of x [.., n].
Tensor rows_of(const Tensor& x);

// Sum over the batch of a^T g, for a [.., m, k] and g [.., m, n]: one product of all rows.
Tensor transposed_product(const Tensor& a, const Tensor& g);

// Whether products of `x` are so fast, on a GPU in 16 bits or TF32, that what else they do is to be in them.
bool has_fast_products(const Tensor& x);

// out [m, n] = a b of two matrices with an epilogue, where that is one pass: see FusedMatmul.
bool fused(const Tensor& a, const Tensor& b, const Tensor& out, const kernels::MatmulEpilogue& epilogue);

// Throws unless x [.., in], weight [out, in] and bias [out] or none make a linear layer.
void check_linear(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias);

struct LinearNeeds {
  bool x, weight, bias;
};
struct LinearGradients {
  Tensor x, weight, bias;
};
// Of x weight^T + bias, for the gradient g of the result; undefined where not needed. x is at least a matrix.
LinearGradients linear_gradients(const Tensor& g, const Tensor& x, const Tensor& weight,
                                 const LinearNeeds& needs);

}  // namespace tutti::autograd
