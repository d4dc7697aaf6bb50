// CUDA and NCCL for machines without a GPU: a GPU's memory is the heap, a stream a thread that runs what is queued,
// and NCCL's ranks meet in this process. What NCCL does not forgive is an error here too.
#pragma once

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <atomic>
#include <functional>

namespace tutti::fake {

struct State {
  std::atomic<int> gpus = 8;
  std::atomic<bool> one_card = false;  // behind all of them
  std::atomic<ncclResult_t> async_error = ncclSuccess;

  // What is made and not yet given back.
  std::atomic<int> streams, events, communicators, registrations, allocations;
  std::atomic<int> reductions;  // that NCCL was asked for
  std::atomic<int> waits;       // of the host, for a GPU
};

State& state();

// Behind what is on `stream`; null is the default stream.
void enqueue(cudaStream_t stream, std::function<void()> task);

// What this thread computes goes there.
void set_current_stream(cudaStream_t stream);

}  // namespace tutti::fake
