// The runtime of simulated GPUs. Work runs when it is queued, or is kept while its stream is captured. As long as
// there is little of it, memory of a GPU can be touched by queued work alone: whoever else reads or writes it gets a SIGSEGV.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdint>
#include <functional>

namespace tutti::simt {

void queue(cudaStream_t stream, std::function<void()> work);

struct Counters {
  std::atomic<int> gpus = 2;
  std::atomic<std::uint64_t> launches, synchronisations, allocations, copies_from_pageable;
};
Counters& counters();

}  // namespace tutti::simt
