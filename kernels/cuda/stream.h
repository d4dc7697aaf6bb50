// The stream that this thread queues work of its current GPU on.
#pragma once

#include <cuda_runtime_api.h>

namespace tutti::kernels {

cudaStream_t current_stream();

}  // namespace tutti::kernels
