// Picking rows and elements. Bytes are copied, so that words as wide as the rows allow will do for every dtype.
#include "kernels/index.h"

#include <algorithm>
#include <array>

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/pack.cuh"

namespace tutti::kernels {
namespace {

constexpr unsigned threads = 256;

// What stands where an index is outside: NaN, or 0.
template <typename Word>
Word nothing(DType dtype) {
  std::uint64_t bits = 0;
  if (dtype == DType::f64) bits = 0x7ff8000000000000u;
  if (dtype == DType::f32) bits = 0x7fc000007fc00000u;
  if (dtype == DType::bf16) bits = 0x7fc07fc07fc07fc0u;
  if (dtype == DType::f16) bits = 0x7e007e007e007e00u;
  if constexpr (sizeof(Word) == 16) {
    return std::bit_cast<Word>(std::array{bits, bits});
  } else {
    return static_cast<Word>(bits);
  }
}

// Division of what seldom has more than 32 bits.
__device__ std::int64_t quotient(std::int64_t a, std::int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<std::uint32_t>(a) / static_cast<std::uint32_t>(b);
  return a / b;
}

// threadIdx.x goes along a row of `words` words, threadIdx.y over rows.
template <typename Word>
__global__ void select_kernel(const Word* x, const std::int64_t* index, Word* out, std::int64_t rows,
                              std::int64_t n, std::int64_t words, std::int64_t count, Word none) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.y;
  for (std::int64_t row = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; row < rows; row += step) {
    const std::int64_t outer = quotient(row, count);
    const std::int64_t at = index[row - outer * count];
    const bool inside = at >= 0 && at < n;
    const Word* from = x + (outer * n + (inside ? at : 0)) * words;
    Word* to = out + row * words;
#pragma unroll 4
    for (std::int64_t i = threadIdx.x; i < words; i += blockDim.x) to[i] = inside ? from[i] : none;
  }
}

template <typename Word>
__global__ void gather_kernel(const Word* x, const std::int64_t* index, Word* out, std::int64_t total,
                              std::int64_t n, std::int64_t inner, std::int64_t m, Word none) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < total; i += step) {
    const std::int64_t row = quotient(i, inner);
    const std::int64_t at = index[i];
    out[i] = at >= 0 && at < n ? x[(quotient(row, m) * n + at) * inner + (i - row * inner)] : none;
  }
}

unsigned blocks_for(std::int64_t parts, std::int64_t in_block) {
  return static_cast<unsigned>(std::min<std::int64_t>((parts + in_block - 1) / in_block, 1 << 16));
}

template <typename Word>
void select(DType dtype, const void* x, const std::int64_t* index, void* out, std::int64_t outer,
            std::int64_t n, std::int64_t words, std::int64_t count) {
  const std::int64_t rows = outer * count;
  const unsigned along = std::bit_ceil(static_cast<unsigned>(std::min<std::int64_t>(words, 32)));
  run(IndexSelect::name, select_kernel<Word>, {blocks_for(rows, threads / along), {along, threads / along}},
      static_cast<const Word*>(x), index, static_cast<Word*>(out), rows, n, words, count,
      nothing<Word>(dtype));
}

}  // namespace

void IndexSelect::cuda(DType dtype, const void* x, const std::int64_t* index, void* out, std::int64_t outer,
                       std::int64_t n, std::int64_t inner, std::int64_t count) {
  if (outer * inner * count == 0) return;
  const auto bytes = static_cast<std::int64_t>(size_of(dtype)) * inner;
  const auto* from = static_cast<const std::uint8_t*>(x);
  auto* to = static_cast<std::uint8_t*>(out);
  if (fits_packs<16>(bytes, from, to)) {
    select<uint4>(dtype, x, index, out, outer, n, bytes / 16, count);
  } else if (fits_packs<8>(bytes, from, to)) {
    select<std::uint64_t>(dtype, x, index, out, outer, n, bytes / 8, count);
  } else if (fits_packs<4>(bytes, from, to)) {
    select<std::uint32_t>(dtype, x, index, out, outer, n, bytes / 4, count);
  } else if (fits_packs<2>(bytes, from, to)) {
    select<std::uint16_t>(dtype, x, index, out, outer, n, bytes / 2, count);
  } else {
    select<std::uint8_t>(dtype, x, index, out, outer, n, bytes, count);
  }
}

void Gather::cuda(DType dtype, const void* x, const std::int64_t* index, void* out, std::int64_t outer,
                  std::int64_t n, std::int64_t inner, std::int64_t m) {
  const std::int64_t total = outer * m * inner;
  if (total == 0) return;
  const auto gather = [&]<typename Word>(Word none) {
    run(name, gather_kernel<Word>, {blocks_for(total, threads), threads}, static_cast<const Word*>(x), index,
        static_cast<Word*>(out), total, n, inner, m, none);
  };
  switch (size_of(dtype)) {
    case 1:
      return gather(nothing<std::uint8_t>(dtype));
    case 2:
      return gather(nothing<std::uint16_t>(dtype));
    case 4:
      return gather(nothing<std::uint32_t>(dtype));
    default:
      return gather(nothing<std::uint64_t>(dtype));
  }
}

}  // namespace tutti::kernels
