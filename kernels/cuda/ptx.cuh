// Instructions of sm_80 that C++ has no words for: products of small matrices by a whole warp, and copies into shared memory
// that run on the side. The simulated GPU of tests/simt has its own file in the place of this one.
//
// The 32 lanes hold a matrix in parts (PTX ISA, "Matrix Fragments for mma.m16n8k16"). With g = lane / 4 and t = lane % 4 a lane
// has, each register two neighbours along k or, of c, along n:
//   a [16, 16]  a[0]: row g, k 2t   a[1]: row g + 8, k 2t   a[2]: row g, k 2t + 8   a[3]: row g + 8, k 2t + 8
//   b [16, 8]   b0: k 2t, column g  b1: k 2t + 8, column g
//   c [16, 8]   c[0], c[1]: row g, columns 2t and 2t + 1     c[2], c[3]: row g + 8
#pragma once

#include <type_traits>

#include "tutti/core/dtype.h"

namespace tutti::kernels {

// c += a b, of bf16 or f16, with sums in f32.
template <typename T>
__device__ __forceinline__ void mma_m16n8k16(float (&c)[4], const unsigned (&a)[4], unsigned b0,
                                             unsigned b1) {
  static_assert(std::is_same_v<T, bfloat16> || std::is_same_v<T, float16>);
  if constexpr (std::is_same_v<T, bfloat16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

// Four matrices of 8 x 8 elements of 16 bits from shared memory. Lane i points at the i % 8th row, 16 bytes, of the i / 8th
// matrix: (row ^ flip) + offset, in bytes, which a loop that is unrolled has for nothing. A lane gets elements 2t and 2t + 1 of
// row g of each.
__device__ __forceinline__ void ldmatrix_x4(unsigned (&to)[4], const void* row, unsigned flip,
                                            unsigned offset) {
  asm volatile(
      "{.reg .b32 at; xor.b32 at, %4, %5; add.u32 at, at, %6; ldmatrix.sync.aligned.m8n8.x4.shared.b16 "
      "{%0,%1,%2,%3}, [at];}"
      : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
      : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row))), "r"(flip), "r"(offset)
      : "memory");
}
// The same of the transposed matrices: elements of column g in rows 2t and 2t + 1.
__device__ __forceinline__ void ldmatrix_x4_trans(unsigned (&to)[4], const void* row, unsigned flip,
                                                  unsigned offset) {
  asm volatile(
      "{.reg .b32 at; xor.b32 at, %4, %5; add.u32 at, at, %6; "
      "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [at];}"
      : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
      : "r"(static_cast<unsigned>(__cvta_generic_to_shared(row))), "r"(flip), "r"(offset)
      : "memory");
}

// 16 bytes from the GPU's memory into shared memory, or zeros unless `inside`; there after cp_async_wait.
__device__ __forceinline__ void cp_async_16(void* shared, const void* global, bool inside) {
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(inside ? 16 : 0)
               : "memory");
}
// This thread's copies since the last one are a group.
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until all but the last `groups` groups of this thread are there; others' copies are after a barrier.
template <int groups>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

// x. What is calculated from it is calculated again each time, not kept in registers throughout a loop.
__device__ __forceinline__ int fresh(int x) {
  asm volatile("" : "+r"(x));
  return x;
}

// Two neighbours in one register, `low` first in memory.
template <typename T>
__device__ __forceinline__ unsigned packed(float low, float high) {
  unsigned both;
  if constexpr (std::is_same_v<T, bfloat16>) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  }
  return both;
}

// 2^x within 2 ulp; 0 of -infinity.
__device__ __forceinline__ float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace tutti::kernels
