// cuBLASLt's handle, scratch memory and choices, for each GPU.
#pragma once

#include <cublasLt.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/cuda/lt_choice.h"

namespace tutti::kernels {

// Throws DeviceError for a failed call of cuBLASLt.
void check(cublasStatus_t status, const char* what);

class BlasContext {
 public:
  // The current GPU's, made at the first call. Threads share it.
  static BlasContext& current();

  explicit BlasContext(int gpu);
  BlasContext(const BlasContext&) = delete;
  BlasContext& operator=(const BlasContext&) = delete;

  // Queues the product. False, and nothing is done, where cuBLASLt has no algorithm for it.
  bool run(const LtPlan& plan, double beta, cudaStream_t stream);

  // From Hopper on, GELU in a product is faster than behind it; before, kernels that have it are slow ones.
  bool fuses_gelu() const { return fuses_gelu_; }

 private:
  std::shared_ptr<const LtChoice> choice(const LtPlan& plan, double beta, LtWorkspace workspace,
                                         cudaStream_t stream);
  bool queue(const LtPlan& plan, double beta, LtWorkspace workspace, cudaStream_t stream);
  // One a stream: its products follow each other, those of two streams may run at once. A product can be several kernels
  // that find each other's results here: none of another thread's may come in between. Kept to the end. A
  // captured graph has its own.
  struct Scratch {
    void* data = nullptr;
    std::mutex queueing;
  };
  Scratch& scratch(cudaStream_t stream);

  cublasLtHandle_t handle_ = nullptr;
  bool fuses_gelu_ = false;
  std::mutex mutex_;
  std::map<cudaStream_t, Scratch> scratches_;
  std::map<LtProduct, std::shared_ptr<const LtChoice>> choices_;
};

}  // namespace tutti::kernels
