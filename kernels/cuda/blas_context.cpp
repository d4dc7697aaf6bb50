#include "kernels/cuda/blas_context.h"

#include <fmt/format.h>

#include "kernels/cuda/check.h"
#include "kernels/cuda/graph.h"
#include "kernels/cuda/workspace.h"
#include "tutti/core/error.h"

namespace tutti::kernels {
namespace {

constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // what NVIDIA advises from Hopper on
constexpr std::size_t most_choices = 8192;                      // of 700 bytes

// Memory may be taken while a stream is captured, too: it is no part of the graph.
class RelaxedCapture {
 public:
  RelaxedCapture() { check(cudaThreadExchangeStreamCaptureMode(&mode_), Matmul::name); }
  ~RelaxedCapture() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

}  // namespace

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError(fmt::format("{}: cuBLASLt failed: {}", what, cublasLtGetStatusString(status)));
}

BlasContext& BlasContext::current() {
  // Kept to the end of the process, and past it: by then the driver may be gone, and so is what it held.
  static auto& contexts = *new std::map<int, BlasContext>;
  static auto& mutex = *new std::mutex;
  int gpu = 0;
  check(cudaGetDevice(&gpu), Matmul::name);
  const std::lock_guard lock(mutex);
  return contexts.try_emplace(gpu, gpu).first->second;
}

BlasContext::BlasContext(int gpu) {
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu), Matmul::name);
  fuses_gelu_ = major >= 9;
  check(cublasLtCreate(&handle_), Matmul::name);
}

BlasContext::Scratch& BlasContext::scratch(cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  Scratch& scratch = scratches_[stream];
  if (!scratch.data) {
    const RelaxedCapture relaxed;
    check(cudaMalloc(&scratch.data, workspace_bytes), Matmul::name);
  }
  return scratch;
}

std::shared_ptr<const LtChoice> BlasContext::choice(const LtPlan& plan, double beta, LtWorkspace workspace,
                                                    cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  const auto known = choices_.find(plan.product);
  if (known != choices_.end() && !is_to_be_timed(*known->second, stream)) return known->second;
  const auto made = std::make_shared<const LtChoice>(choose(handle_, plan, beta, workspace, stream));
  if (choices_.size() >= most_choices) choices_.clear();
  choices_[plan.product] = made;
  return made;
}

bool BlasContext::run(const LtPlan& plan, double beta, cudaStream_t stream) {
  if (is_capturing()) {  // the stream goes, and another one may get its handle: the graph stays
    const DeviceWorkspace own(workspace_bytes);
    return queue(plan, beta, {own.as<void>(), workspace_bytes}, stream);
  }
  Scratch& own = scratch(stream);
  const std::lock_guard lock(own.queueing);
  return queue(plan, beta, {own.data, workspace_bytes}, stream);
}

bool BlasContext::queue(const LtPlan& plan, double beta, LtWorkspace workspace, cudaStream_t stream) {
  const auto chosen = choice(plan, beta, workspace, stream);
  if (!chosen->exists) return false;
  const cublasStatus_t status = chosen->run(handle_, plan, beta, workspace, stream);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return false;
  check(status, Matmul::name);
  launched(Matmul::name, stream);
  return true;
}

}  // namespace tutti::kernels
