// The runtime of simulated GPUs. Work runs when it is queued, or as late as it may; or is kept while its stream is captured. As long as
// there is little of it, memory of a GPU can be touched by queued work alone: whoever else reads or writes it gets a SIGSEGV.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <functional>

namespace tutti::simt {

void queue(cudaStream_t stream, std::function<void()> work);

// From here on in each process of tests with TUTTI_SIMT_STREAMS=late, or while there is one of these, work runs when someone
// waits for it: what is not ordered by streams and events meets stale bytes.
class LateStreams {
 public:
  LateStreams();
  ~LateStreams();
  LateStreams(const LateStreams&) = delete;
  LateStreams& operator=(const LateStreams&) = delete;
};

// Work that fails on the GPU: whoever waits for it next hears of it.
void queue_fault(cudaStream_t stream, cudaError_t status);

struct Counters {
  Counters();

  std::atomic<int> gpus = 2;
  std::atomic<int> compute_capability;  // TUTTI_SIMT_CAPABILITY, else 80
  std::atomic<std::size_t> gpu_bytes = std::size_t{4} << 30;
  std::atomic<std::uint64_t> launches, synchronisations, allocations, copies_from_pageable;
};
Counters& counters();

}  // namespace tutti::simt
