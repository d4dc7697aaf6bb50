// What cuBLASLt is to be told of a product, made once and used for all that are like it.
#pragma once

#include <cublasLt.h>

#include <cstddef>

#include "kernels/cuda/lt_plan.h"

namespace tutti::kernels {

struct LtWorkspace {
  void* data;
  std::size_t bytes;
};

struct LtChoice {
  cublasLtMatmulDescOpaque_t operation;
  cublasLtMatrixLayoutOpaque_t a, b, d;
  cublasLtMatmulAlgo_t algorithm;
  bool exists;    // cuBLASLt has an algorithm at all
  bool is_timed;  // and it was the fastest, where it is to be

  // Queues d = product + beta * d.
  cublasStatus_t run(cublasLtHandle_t handle, const LtPlan& plan, double beta, LtWorkspace workspace,
                     cudaStream_t stream) const;
};

// By cuBLASLt's own advice. With TUTTI_CUDA_TUNE=1 the first few that it advises are timed, on the product itself;
// not while `stream` is captured, where nothing can be.
LtChoice choose(cublasLtHandle_t handle, const LtPlan& plan, double beta, LtWorkspace workspace,
                cudaStream_t stream);

// Whether timing would change something now.
bool is_to_be_timed(const LtChoice& choice, cudaStream_t stream);

}  // namespace tutti::kernels
