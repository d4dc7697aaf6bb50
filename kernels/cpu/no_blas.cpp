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
void gemm(bool a_transposed, bool b_transposed, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
          std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
  const ConstMap<T> left(a, a_transposed ? k : m, a_transposed ? m : k, Eigen::OuterStride<>(lda));
  const ConstMap<T> right(b, b_transposed ? n : k, b_transposed ? k : n, Eigen::OuterStride<>(ldb));
  Eigen::Map<Matrix<T>, 0, Eigen::OuterStride<>> out(c, m, n, Eigen::OuterStride<>(ldc));
  if (beta == T(0)) {
    out.setZero();
  } else if (beta != T(1)) {
    out *= beta;
  }
  if (a_transposed && b_transposed) {
    out.noalias() += left.transpose() * right.transpose();
  } else if (a_transposed) {
    out.noalias() += left.transpose() * right;
  } else if (b_transposed) {
    out.noalias() += left * right.transpose();
  } else {
    out.noalias() += left * right;
  }
}

template void gemm<float>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const float*, std::int64_t,
                          const float*, std::int64_t, float, float*, std::int64_t);
template void gemm<double>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const double*, std::int64_t,
                           const double*, std::int64_t, double, double*, std::int64_t);

}  // namespace tutti::kernels
