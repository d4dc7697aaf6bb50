// Matrix products by cuBLASLt. It thinks in columns: a row-major matrix is its own transpose there, so
// out = a b is computed as out^T = b^T a^T, with the operands swapped and nothing moved.
#include "kernels/matmul.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "kernels/cuda/blas_context.h"
#include "kernels/cuda/check.h"
#include "kernels/elementwise.h"
#include "tutti/core/error.h"

namespace tutti::kernels {
namespace {

// `rows` rows of `columns` elements each, as stored.
struct Stored {
  const void* data;
  std::int64_t rows, columns, ld, batch_stride;

  cublasLtMatrixLayoutOpaque_t layout(cudaDataType_t type, std::int64_t batch) const {
    cublasLtMatrixLayoutOpaque_t result;
    // The distance of rows says nothing where there is one.
    const std::int64_t distance = rows == 1 ? columns : ld;
    const auto count = static_cast<std::int32_t>(batch);
    check(cublasLtMatrixLayoutInit(&result, type, static_cast<std::uint64_t>(columns),
                                   static_cast<std::uint64_t>(rows), distance),
          Matmul::name);
    check(
        cublasLtMatrixLayoutSetAttribute(&result, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)),
        Matmul::name);
    check(cublasLtMatrixLayoutSetAttribute(&result, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                           &batch_stride, sizeof(batch_stride)),
          Matmul::name);
    return result;
  }

  // Bytes to which every row of every matrix is aligned: views may begin at any element, and algorithms that
  // load several at once must not be chosen for them.
  std::uint32_t alignment(std::size_t element) const {
    const auto bits =
        std::bit_cast<std::uintptr_t>(data) |
        (static_cast<std::uintptr_t>(ld) | static_cast<std::uintptr_t>(batch_stride)) * element | 256u;
    return std::uint32_t{1} << std::countr_zero(bits);
  }
};

void set(cublasLtMatmulDescOpaque_t& product, cublasLtMatmulDescAttributes_t attribute, bool transposed) {
  const cublasOperation_t operation = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  check(cublasLtMatmulDescSetAttribute(&product, attribute, &operation, sizeof(operation)), Matmul::name);
}

template <typename T>
void set(cublasLtMatmulPreferenceOpaque_t& preference, cublasLtMatmulPreferenceAttributes_t attribute,
         T value) {
  check(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof(value)), Matmul::name);
}

// An empty sum: out = beta * out.
void scale(const MatmulArgs& p) {
  const Shape shape{p.batch, p.m, p.n};
  const MutableOperand out{p.out, {p.out_batch, p.ldo, 1}};
  if (p.beta == 0) return Fill::cuda(p.dtype, shape, out, 0);
  AddScaled::cuda(p.dtype, shape, out, {p.out, out.strides}, p.beta, 0);
}

}  // namespace

void Matmul::cuda(const MatmulArgs& p) {
  if (p.batch == 0 || p.m == 0 || p.n == 0) return;
  if (p.k == 0) return scale(p);
  if (p.dtype != DType::f32 && p.dtype != DType::f64) throw DTypeError("matmul: on a GPU, takes f32 and f64");
  if (p.batch > std::numeric_limits<std::int32_t>::max())
    throw ShapeError("matmul: a batch of 2^31 or more matrices");

  const bool is_f32 = p.dtype == DType::f32;
  const cudaDataType_t type = is_f32 ? CUDA_R_32F : CUDA_R_64F;
  const Stored a{p.a, p.a_transposed ? p.k : p.m, p.a_transposed ? p.m : p.k, p.lda, p.a_batch};
  const Stored b{p.b, p.b_transposed ? p.n : p.k, p.b_transposed ? p.k : p.n, p.ldb, p.b_batch};
  const Stored out{p.out, p.m, p.n, p.ldo, p.out_batch};
  auto first = b.layout(type, p.batch);
  auto second = a.layout(type, p.batch);
  auto result = out.layout(type, p.batch);

  cublasLtMatmulDescOpaque_t product;  // f32 in full precision, not TF32
  check(cublasLtMatmulDescInit(&product, is_f32 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_64F, type), name);
  set(product, CUBLASLT_MATMUL_DESC_TRANSA, p.b_transposed);
  set(product, CUBLASLT_MATMUL_DESC_TRANSB, p.a_transposed);

  const BlasContext& context = BlasContext::current();
  const std::size_t element = size_of(p.dtype);
  cublasLtMatmulPreferenceOpaque_t preference;
  check(cublasLtMatmulPreferenceInit(&preference), name);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::size_t{BlasContext::workspace_bytes});
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, b.alignment(element));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, a.alignment(element));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, out.alignment(element));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, out.alignment(element));
  cublasLtMatmulHeuristicResult_t choice;
  int found = 0;
  check(cublasLtMatmulAlgoGetHeuristic(context.handle(), &product, &first, &second, &result, &result,
                                       &preference, 1, &choice, &found),
        name);
  if (found == 0) throw DeviceError("matmul: cuBLASLt has no algorithm for these operands");

  const float factors_f32[] = {1.0f, static_cast<float>(p.beta)};
  const double factors_f64[] = {1.0, p.beta};
  const void* alpha = is_f32 ? static_cast<const void*>(&factors_f32[0]) : &factors_f64[0];
  const void* beta = is_f32 ? static_cast<const void*>(&factors_f32[1]) : &factors_f64[1];
  check(cublasLtMatmul(context.handle(), &product, alpha, p.b, &first, p.a, &second, beta, p.out, &result,
                       p.out, &result, &choice.algo, context.workspace(), BlasContext::workspace_bytes,
                       nullptr),
        name);
}

}  // namespace tutti::kernels
