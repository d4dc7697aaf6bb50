// Products of a simulated GPU, where cuBLASLt cannot run. What is asked of it is computed as its manual has it, in
// columns, so that the plan is tested too.
#include "kernels/matmul.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "kernels/cuda/lt_plan.h"
#include "kernels/cuda/stream.h"
#include "kernels/gemm.h"
#include "tests/simt/runtime.h"

namespace tutti::kernels {
namespace {

constexpr double slope_at_0 = 0.79788456080286535588;  // sqrt(2 / pi)

double gelu(double x) { return 0.5 * x * (1 + std::tanh(slope_at_0 * (x + 0.044715 * x * x * x))); }

double gelu_slope(double x) {
  const double t = std::tanh(slope_at_0 * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope_at_0 * (1 + 3 * 0.044715 * x * x);
}

// f32 for 16 bits, as sums are.
template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

float as_tf32(float x) { return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & ~0x1fffu); }

template <typename T>
std::vector<Wide<T>> widened(const LtMatrix& m, const void* data, std::int64_t index, bool tf32) {
  std::vector<Wide<T>> result;
  const T* elements = static_cast<const T*>(data) + index * m.batch_stride;
  for (std::int64_t j = 0; j < m.columns; ++j) {
    for (std::int64_t i = 0; i < m.rows; ++i) {
      result.push_back(static_cast<Wide<T>>(elements[j * m.ld + i]));
      if constexpr (std::is_same_v<T, float>) result.back() = tf32 ? as_tf32(result.back()) : result.back();
    }
  }
  return result;
}

// BGRADB: op(B) [k, n] summed over k.
template <typename T>
void sum_columns(const LtMatrix& b, const std::vector<Wide<T>>& elements, T* out) {
  const std::int64_t n = b.transposed ? b.rows : b.columns, k = b.transposed ? b.columns : b.rows;
  for (std::int64_t j = 0; j < n; ++j) {
    double sum = 0;
    for (std::int64_t l = 0; l < k; ++l) {
      sum += static_cast<double>(
          elements[static_cast<std::size_t>(b.transposed ? l * b.rows + j : j * b.rows + l)]);
    }
    out[j] = T(static_cast<Wide<T>>(sum));
  }
}

template <typename T>
void run(const LtPlan& plan, Wide<T> beta, std::int64_t index) {
  const auto& [dtype, tf32, batch, a, b, d, epilogue, aux_ld, vector_alignment, aux_alignment] = plan.product;
  const auto left = widened<T>(a, plan.a, index, tf32), right = widened<T>(b, plan.b, index, tf32);
  std::vector<Wide<T>> sums(static_cast<std::size_t>(d.rows * d.columns));
  const std::int64_t k = a.transposed ? a.rows : a.columns;
  // gemm() thinks in rows: D^T = op(B)^T op(A)^T.
  if (k > 0)
    gemm(Gemm<Wide<T>>{b.transposed, a.transposed, d.columns, d.rows, k, right.data(), b.rows, left.data(),
                       a.rows, 0, sums.data(), d.rows});
  T* out = static_cast<T*>(plan.d) + index * d.batch_stride;
  T* vector = static_cast<T*>(plan.vector);
  T* aux = static_cast<T*>(plan.aux);
  const auto kind = static_cast<std::uint32_t>(epilogue);
  const auto has = [kind](LtEpilogue part) { return (kind & static_cast<std::uint32_t>(part)) != 0; };
  for (std::int64_t j = 0; j < d.columns; ++j) {
    for (std::int64_t i = 0; i < d.rows; ++i) {
      Wide<T> value = sums[static_cast<std::size_t>(j * d.rows + i)];
      if (has(LtEpilogue::bias)) value += static_cast<Wide<T>>(vector[i]);
      if (has(LtEpilogue::gelu)) {
        if (aux) aux[j * aux_ld + i] = T(value);
        value = static_cast<Wide<T>>(gelu(static_cast<double>(value)));
      }
      if (epilogue == LtEpilogue::gelu_grad)
        value *=
            static_cast<Wide<T>>(gelu_slope(static_cast<double>(static_cast<Wide<T>>(aux[j * aux_ld + i]))));
      if (beta != 0) value += beta * static_cast<Wide<T>>(out[j * d.ld + i]);
      out[j * d.ld + i] = T(value);
    }
  }
  if (epilogue == LtEpilogue::column_sums_b) sum_columns<T>(b, right, vector);
}

void queue(const LtPlan& plan, double beta) {
  simt::queue(current_stream(), [plan, beta] {
    visit_dtype(plan.product.dtype, [&]<typename T>() {
      if constexpr (!std::is_integral_v<T>) {
        for (std::int64_t i = 0; i < plan.product.batch; ++i) run<T>(plan, static_cast<Wide<T>>(beta), i);
      }
    });
  });
}

}  // namespace

void Matmul::cuda(const MatmulArgs& args) {
  if (args.batch == 0 || args.m == 0 || args.n == 0) return;
  queue(plan_product(args), args.beta);
}

bool FusedMatmul::cuda(const MatmulArgs& args, const MatmulEpilogue& epilogue) {
  if (!can_fuse(args, epilogue)) return false;
  queue(plan_product(args, epilogue), 0);
  return true;
}

}  // namespace tutti::kernels
