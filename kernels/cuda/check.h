// Failed calls of CUDA become DeviceErrors: "copy_bytes: an illegal memory access was encountered
// (cudaErrorIllegalAddress)".
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>

namespace tutti::kernels {

void check(cudaError_t status, const char* what);

// For the line after work of `kernel` was queued. What goes wrong while it runs shows at a later call, which says so; with
// TUTTI_CUDA_SYNC=1 every launch is waited for, and the right one named.
void launched(const char* kernel, cudaStream_t stream);
std::atomic<bool>& waits_for_launches();

}  // namespace tutti::kernels
