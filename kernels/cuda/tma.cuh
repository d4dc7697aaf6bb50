// Instructions of sm_90 with which some warps of a block load what others use: copies by the copy engine of an SM (TMA),
// and barriers in shared memory that count them. The simulated GPU of tests/simt has its own file in the place of this one.
#pragma once

#include <cstdint>

#include "kernels/cuda/tensor_map.h"

namespace tutti::kernels {

__device__ __forceinline__ unsigned shared_address(const void* at) {
  return static_cast<unsigned>(__cvta_generic_to_shared(at));
}

// In shared memory. A phase ends when as many threads have arrived as it counts, and all bytes that they said to expect;
// then the next one begins.
struct alignas(8) Barrier {
  std::uint64_t bits;
};
__device__ __forceinline__ void init(Barrier& barrier, unsigned arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(&barrier)), "r"(arrivals)
               : "memory");
}
// Makes barriers known to the copy engine; before the __syncthreads behind which they are used.
__device__ __forceinline__ void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster; fence.proxy.async.shared::cta;" ::: "memory");
}
__device__ __forceinline__ void arrive(Barrier& barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(&barrier)) : "memory");
}
__device__ __forceinline__ void arrive_expecting(Barrier& barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&barrier)),
               "r"(bytes)
               : "memory");
}
// Until the phase of this parity has ended. Phases have parities 0, 1, 0...; the one before the first is over.
__device__ __forceinline__ void wait(Barrier& barrier, unsigned parity) {
  unsigned over;
  do {
    asm volatile("{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.b32 %0, 1, 0, p;}"
                 : "=r"(over)
                 : "r"(shared_address(&barrier)), "r"(parity)
                 : "memory");
  } while (!over);
}

__device__ __forceinline__ void prefetch(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}
// The box from this column and row on, to 1024-byte aligned shared memory; `barrier` counts its bytes. A row has 128 bytes,
// and the 16-byte piece i of row r lies in place i ^ r % 8.
__device__ __forceinline__ void load_box(void* to, const TensorMap& map, int column, int row, int place,
                                         Barrier& barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, "
      "%5}], [%2];" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(&barrier)), "r"(column), "r"(row), "r"(place)
      : "memory");
}

// Neighbouring bytes, a multiple of 16 and aligned to it.
__device__ __forceinline__ void load_bytes(void* to, const void* from, unsigned bytes, Barrier& barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
          shared_address(to)),
      "l"(from), "r"(bytes), "r"(shared_address(&barrier))
      : "memory");
}

// Barriers between warps of a block by number, 0 being __syncthreads': each waits or arrives `threads` in all.
__device__ __forceinline__ void sync_threads(int number, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}
__device__ __forceinline__ void arrive_threads(int number, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(number), "r"(threads) : "memory");
}

}  // namespace tutti::kernels
