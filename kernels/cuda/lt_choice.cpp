#include "kernels/cuda/lt_choice.h"

#include <array>
#include <cstdlib>
#include <limits>
#include <span>
#include <string_view>

#include "kernels/cuda/blas_context.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/workspace.h"

namespace tutti::kernels {
namespace {

constexpr const char* name = Matmul::name;

static_assert(static_cast<int>(LtEpilogue::none) == CUBLASLT_EPILOGUE_DEFAULT);
static_assert(static_cast<int>(LtEpilogue::bias) == CUBLASLT_EPILOGUE_BIAS);
static_assert(static_cast<int>(LtEpilogue::gelu) == CUBLASLT_EPILOGUE_GELU);
static_assert(static_cast<int>(LtEpilogue::gelu_bias) == CUBLASLT_EPILOGUE_GELU_BIAS);
static_assert(static_cast<int>(LtEpilogue::gelu_aux) == CUBLASLT_EPILOGUE_GELU_AUX);
static_assert(static_cast<int>(LtEpilogue::gelu_aux_bias) == CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
static_assert(static_cast<int>(LtEpilogue::gelu_grad) == CUBLASLT_EPILOGUE_DGELU);
static_assert(static_cast<int>(LtEpilogue::column_sums_b) == CUBLASLT_EPILOGUE_BGRADB);

template <typename T>
void set(cublasLtMatmulDescOpaque_t& operation, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check(cublasLtMatmulDescSetAttribute(&operation, attribute, &value, sizeof(value)), name);
}

template <typename T>
void set(cublasLtMatrixLayoutOpaque_t& layout, cublasLtMatrixLayoutAttribute_t attribute, const T& value) {
  check(cublasLtMatrixLayoutSetAttribute(&layout, attribute, &value, sizeof(value)), name);
}

template <typename T>
void set(cublasLtMatmulPreferenceOpaque_t& preference, cublasLtMatmulPreferenceAttributes_t attribute,
         const T& value) {
  check(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof(value)), name);
}

cudaDataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return CUDA_R_64F;
    case DType::bf16:
      return CUDA_R_16BF;
    case DType::f16:
      return CUDA_R_16F;
    default:
      return CUDA_R_32F;
  }
}

cublasComputeType_t compute_type(const LtProduct& product) {
  if (product.dtype == DType::f64) return CUBLAS_COMPUTE_64F;
  return product.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;  // sums of 16 bits are f32, too
}

cublasLtMatrixLayoutOpaque_t layout(const LtProduct& product, const LtMatrix& matrix) {
  cublasLtMatrixLayoutOpaque_t result;
  check(cublasLtMatrixLayoutInit(&result, data_type(product.dtype), static_cast<std::uint64_t>(matrix.rows),
                                 static_cast<std::uint64_t>(matrix.columns), matrix.ld),
        name);
  if (product.batch == 1) return result;
  set(result, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<std::int32_t>(product.batch));
  set(result, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, matrix.batch_stride);
  return result;
}

// Their alignment counts when an algorithm is chosen, their values when it runs.
void set_addresses(cublasLtMatmulDescOpaque_t& operation, const LtPlan& plan) {
  if (plan.vector) set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, plan.vector);
  if (plan.aux) set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, plan.aux);
}

cublasLtMatmulDescOpaque_t describe(const LtPlan& plan) {
  const LtProduct& product = plan.product;
  const bool is_f64 = product.dtype == DType::f64;
  cublasLtMatmulDescOpaque_t operation;
  check(cublasLtMatmulDescInit(&operation, compute_type(product), is_f64 ? CUDA_R_64F : CUDA_R_32F), name);
  set(operation, CUBLASLT_MATMUL_DESC_TRANSA, product.a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(operation, CUBLASLT_MATMUL_DESC_TRANSB, product.b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (product.epilogue == LtEpilogue::none) return operation;
  set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, product.epilogue);
  if (plan.vector) {
    set(operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<std::int32_t>(data_type(product.dtype)));
  }
  if (plan.aux) set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, product.aux_ld);
  set_addresses(operation, plan);
  return operation;
}

cublasLtMatmulPreferenceOpaque_t preference(const LtProduct& product, std::size_t workspace_bytes) {
  cublasLtMatmulPreferenceOpaque_t result;
  check(cublasLtMatmulPreferenceInit(&result), name);
  set(result, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
  // The same bits each time: parts of a sum that several blocks make wait in the workspace, in f32, and are added
  // in their order. Not in the result as blocks come by (INPLACE), nor rounded to 16 bits in between (OUTPUT_TYPE).
  set(result, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  set(result, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, product.a.alignment);
  set(result, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, product.b.alignment);
  set(result, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, product.d.alignment);
  set(result, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, product.d.alignment);
  return result;
}

bool tunes() {
  static const bool on = [] {
    const char* text = std::getenv("TUTTI_CUDA_TUNE");
    return text != nullptr && std::string_view(text) == "1";
  }();
  return on;
}

bool is_captured(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  if (cudaStreamIsCapturing(stream, &status) !=
      cudaSuccess) {  // the default stream, while another is captured
    cudaGetLastError();
    return true;
  }
  return status != cudaStreamCaptureStatusNone;
}

class Event {
 public:
  Event() { check(cudaEventCreate(&event_), name); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// Leaves the fastest algorithm in `choice`. What the product writes is written again when it is run; a result that
// it would add to is spared by another.
void time_all(std::span<const cublasLtMatmulHeuristicResult_t> candidates, LtChoice& choice,
              cublasLtHandle_t handle, LtPlan plan, double beta, LtWorkspace workspace, cudaStream_t stream) {
  constexpr int runs = 5;
  const LtProduct& product = plan.product;
  const std::int64_t elements =
      (product.batch - 1) * product.d.batch_stride + (product.d.columns - 1) * product.d.ld + product.d.rows;
  const DeviceWorkspace scratch(beta == 0 ? 0 : static_cast<std::size_t>(elements) * size_of(product.dtype));
  if (beta != 0) plan.d = scratch.as<void>();
  const Event start, stop;
  float least = std::numeric_limits<float>::infinity();
  LtChoice trial = choice;
  for (const auto& candidate : candidates) {
    trial.algorithm = candidate.algo;
    if (trial.run(handle, plan, 0, workspace, stream) != CUBLAS_STATUS_SUCCESS) continue;
    check(cudaEventRecord(start, stream), name);
    for (int i = 0; i < runs; ++i) check(trial.run(handle, plan, 0, workspace, stream), name);
    check(cudaEventRecord(stop, stream), name);
    check(cudaEventSynchronize(stop), name);
    float time = 0;
    check(cudaEventElapsedTime(&time, start, stop), name);
    if (time >= least) continue;
    least = time;
    choice.algorithm = candidate.algo;
  }
}

}  // namespace

LtChoice choose(cublasLtHandle_t handle, const LtPlan& plan, double beta, LtWorkspace workspace,
                cudaStream_t stream) {
  const LtProduct& product = plan.product;
  LtChoice choice{describe(plan),
                  layout(product, product.a),
                  layout(product, product.b),
                  layout(product, product.d),
                  {},
                  false,
                  false};
  const bool timed = tunes() && !is_captured(stream);
  auto wanted = preference(product, workspace.bytes);
  std::array<cublasLtMatmulHeuristicResult_t, 8> advised;
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle, &choice.operation, &choice.a, &choice.b, &choice.d, &choice.d, &wanted,
      timed ? static_cast<int>(advised.size()) : 1, advised.data(), &count);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE)
    count = 0;
  else
    check(status, name);
  choice.exists = count > 0 && advised[0].state == CUBLAS_STATUS_SUCCESS;
  if (!choice.exists) return choice;
  choice.algorithm = advised[0].algo;
  choice.is_timed = timed;
  if (timed && count > 1) {
    time_all({advised.data(), static_cast<std::size_t>(count)}, choice, handle, plan, beta, workspace,
             stream);
  }
  return choice;
}

bool is_to_be_timed(const LtChoice& choice, cudaStream_t stream) {
  return choice.exists && !choice.is_timed && tunes() && !is_captured(stream);
}

cublasStatus_t LtChoice::run(cublasLtHandle_t handle, const LtPlan& plan, double beta, LtWorkspace workspace,
                             cudaStream_t stream) const {
  LtChoice own = *this;  // others run it meanwhile, of other addresses
  if (plan.product.epilogue != LtEpilogue::none) set_addresses(own.operation, plan);
  const float factors_f32[] = {1.0f, static_cast<float>(beta)};
  const double factors_f64[] = {1.0, beta};
  const bool is_f64 = plan.product.dtype == DType::f64;
  const void* one = is_f64 ? static_cast<const void*>(&factors_f64[0]) : &factors_f32[0];
  const void* factor = is_f64 ? static_cast<const void*>(&factors_f64[1]) : &factors_f32[1];
  return cublasLtMatmul(handle, &own.operation, one, plan.a, &own.a, plan.b, &own.b, factor, plan.d, &own.d,
                        plan.d, &own.d, &own.algorithm, workspace.data, workspace.bytes, stream);
}

}  // namespace tutti::kernels
