// Failed calls of CUDA become DeviceErrors: "copy_bytes: an illegal memory access was encountered
// (cudaErrorIllegalAddress)".
#pragma once

#include <cuda_runtime_api.h>

namespace tutti::kernels {

void check(cudaError_t status, const char* what);

// For the line after a kernel's launch. What goes wrong while it runs shows at a later call, which says so.
inline void check_launch(const char* kernel) { check(cudaGetLastError(), kernel); }

}  // namespace tutti::kernels
