// Eigen, where no BLAS is installed.
#include <Eigen/Core>

#include "kernels/gemm.h"

namespace tutti::kernels {
namespace {

template <typename T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <typename T>
using ConstMap = Eigen::Map<const Matrix<T>, 0, Eigen::OuterStride<>>;

}  // namespace

template <typename T>
void gemm_tile(const Gemm<T>& x) {
  const ConstMap<T> left(x.a, x.a_transposed ? x.k : x.m, x.a_transposed ? x.m : x.k,
                         Eigen::OuterStride<>(x.lda));
  const ConstMap<T> right(x.b, x.b_transposed ? x.n : x.k, x.b_transposed ? x.k : x.n,
                          Eigen::OuterStride<>(x.ldb));
  Eigen::Map<Matrix<T>, 0, Eigen::OuterStride<>> out(x.c, x.m, x.n, Eigen::OuterStride<>(x.ldc));
  if (x.beta == T(0)) {
    out.setZero();
  } else if (x.beta != T(1)) {
    out *= x.beta;
  }
  if (x.a_transposed && x.b_transposed) {
    out.noalias() += x.alpha * left.transpose() * right.transpose();
  } else if (x.a_transposed) {
    out.noalias() += x.alpha * left.transpose() * right;
  } else if (x.b_transposed) {
    out.noalias() += x.alpha * left * right.transpose();
  } else {
    out.noalias() += x.alpha * left * right;
  }
}

template void gemm_tile<float>(const Gemm<float>&);
template void gemm_tile<double>(const Gemm<double>&);

}  // namespace tutti::kernels
