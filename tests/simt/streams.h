// Streams, events and graphs of simulated GPUs.
#pragma once

#include "tests/simt/runtime.h"

namespace tutti::simt {

// Keeps `status` for cudaGetLastError, and returns it.
cudaError_t failed(cudaError_t status);

bool is_captured(cudaStream_t stream);
// Whether this thread may ask for memory: not while it captures, unless its mode is relaxed. Asking ends the capture.
bool may_ask_the_driver();
// Runs what is still to be run on the stream, or on all of them, as those do that wait implicitly.
void finish(cudaStream_t stream);
void finish_all();

}  // namespace tutti::simt
