#include "kernels/cuda/blas_context.h"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "kernels/cuda/check.h"
#include "kernels/matmul.h"
#include "kernels/memory.h"
#include "tutti/core/error.h"

namespace tutti::kernels {

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(fmt::format("{}: cuBLASLt failed: {}", what, cublasLtGetStatusString(status)));
}

const BlasContext& BlasContext::current() {
  // Kept to the end of the process, and past it: by then the driver may be gone, and so is what it held.
  static auto& contexts = *new std::map<int, BlasContext>;
  static auto& mutex = *new std::mutex;
  int gpu = 0;
  check(cudaGetDevice(&gpu), Matmul::name);
  const std::lock_guard lock(mutex);
  return contexts.try_emplace(gpu).first->second;
}

BlasContext::BlasContext() : workspace_(Allocate::cuda(workspace_bytes)) {
  const cublasStatus_t status = cublasLtCreate(&handle_);
  if (status != CUBLAS_STATUS_SUCCESS) Free::cuda(workspace_, workspace_bytes);
  check(status, Matmul::name);
}

BlasContext::~BlasContext() {
  cublasLtDestroy(handle_);
  Free::cuda(workspace_, workspace_bytes);
}

}  // namespace tutti::kernels
