// Products of matrices by a warpgroup, four warps in a row, which go on while it does other things: instructions of sm_90a. The
// simulated GPU of tests/simt has its own file in the place of this one.
//
// The 128 lanes hold a result [64, n] in parts: the i-th warp rows 16 i.. as mma gives them, c[j] of columns 8 j.. (ptx.cuh);
// a left operand in registers likewise. The others lie in shared memory as load_box leaves them, in panels of 64 columns.
#pragma once

#include <type_traits>

#include "kernels/cuda/tma.cuh"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// Whether what is compiled here may use them.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
inline constexpr bool has_wgmma = true;
#else
inline constexpr bool has_wgmma = false;
#endif

// Where a warpgroup finds an operand (PTX ISA, "Matrix Descriptor Format"), in units of 16 bytes: eight rows of a panel are 1024
// bytes, and the pieces of each are swizzled. `leading` are the bytes from a panel to the next one, which matter where
// products run over rows: then a panel has 64 columns of the result.
__device__ __forceinline__ std::uint64_t matrix_at(const void* at, unsigned leading = 16) {
  constexpr std::uint64_t swizzle_128 = std::uint64_t{1} << 62, eight_rows = std::uint64_t{1024 >> 4} << 32;
  return swizzle_128 | eight_rows | std::uint64_t{leading >> 4} << 16 | (shared_address(at) & 0x3ffffu) >> 4;
}

// Comes before products, after registers that they use were written.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
// This warpgroup's products since the last one are a group.
__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Until all but the last `groups` groups are done. Their registers are touched no sooner than they were held behind this.
template <int groups>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
}
template <int n>
__device__ __forceinline__ void hold(float (&c)[n][4]) {
#pragma unroll
  for (int i = 0; i < 4 * n; ++i) asm volatile("" : "+f"(c[i / 4][i % 4])::"memory");
}
template <int n>
__device__ __forceinline__ void hold(unsigned (&a)[n][4]) {
#pragma unroll
  for (int i = 0; i < 4 * n; ++i) asm volatile("" : "+r"(a[i / 4][i % 4])::"memory");
}

// Registers of a warpgroup, for each thread; what some give up others may take.
template <int count>
__device__ __forceinline__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
}
template <int count>
__device__ __forceinline__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
}

// clang-format off
#define TUTTI_C4(j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define TUTTI_C32(j) TUTTI_C4(j), TUTTI_C4(j + 1), TUTTI_C4(j + 2), TUTTI_C4(j + 3), TUTTI_C4(j + 4), TUTTI_C4(j + 5), \
                     TUTTI_C4(j + 6), TUTTI_C4(j + 7)
#define TUTTI_R32 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15," \
                  "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define TUTTI_R64 TUTTI_R32 "," "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47," \
                  "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
// clang-format on

// c = a b^T or, with `adds`, c += a b^T; a [64, 16], b [n, 16].
template <typename T, bool adds>
__device__ __forceinline__ void wgmma_transposed(float (&c)[16][4], std::uint64_t a, std::uint64_t b) {
#define TUTTI_WGMMA(type)                                                                                \
  asm volatile("{.reg .pred p; setp.ne.b32 p, %66, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32." type \
               "." type " {" TUTTI_R64 "}, %64, %65, p, 1, 1, 0, 0;}"                                    \
               : TUTTI_C32(0), TUTTI_C32(8)                                                              \
               : "l"(a), "l"(b), "n"(adds ? 1 : 0))
  if constexpr (std::is_same_v<T, bfloat16>) {
    TUTTI_WGMMA("bf16");
  } else {
    TUTTI_WGMMA("f16");
  }
#undef TUTTI_WGMMA
}

template <typename T, bool adds>
__device__ __forceinline__ void wgmma_transposed(float (&c)[8][4], std::uint64_t a, std::uint64_t b) {
#define TUTTI_WGMMA(type)                                                                               \
  asm volatile("{.reg .pred p; setp.ne.b32 p, %34, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32." type \
               "." type " {" TUTTI_R32 "}, %32, %33, p, 1, 1, 0, 0;}"                                   \
               : TUTTI_C32(0)                                                                           \
               : "l"(a), "l"(b), "n"(adds ? 1 : 0))
  if constexpr (std::is_same_v<T, bfloat16>) {
    TUTTI_WGMMA("bf16");
  } else {
    TUTTI_WGMMA("f16");
  }
#undef TUTTI_WGMMA
}

// c += a b; a [64, 16], b [16, n], its rows those in shared memory.
template <typename T>
__device__ __forceinline__ void wgmma(float (&c)[16][4], const unsigned (&a)[4], std::uint64_t b) {
#define TUTTI_WGMMA(type)                                                                              \
  asm volatile("{.reg .pred p; setp.eq.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32." type \
               "." type " {" TUTTI_R64 "}, {%64,%65,%66,%67}, %68, p, 1, 1, 1;}"                       \
               : TUTTI_C32(0), TUTTI_C32(8)                                                            \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
  if constexpr (std::is_same_v<T, bfloat16>) {
    TUTTI_WGMMA("bf16");
  } else {
    TUTTI_WGMMA("f16");
  }
#undef TUTTI_WGMMA
}
template <typename T>
__device__ __forceinline__ void wgmma(float (&c)[8][4], const unsigned (&a)[4], std::uint64_t b) {
#define TUTTI_WGMMA(type)                                                                             \
  asm volatile("{.reg .pred p; setp.eq.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32." type \
               "." type " {" TUTTI_R32 "}, {%32,%33,%34,%35}, %36, p, 1, 1, 1;}"                      \
               : TUTTI_C32(0)                                                                         \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
  if constexpr (std::is_same_v<T, bfloat16>) {
    TUTTI_WGMMA("bf16");
  } else {
    TUTTI_WGMMA("f16");
  }
#undef TUTTI_WGMMA
}

#undef TUTTI_C4
#undef TUTTI_C32
#undef TUTTI_R32
#undef TUTTI_R64

}  // namespace tutti::kernels
