#include "kernels/cuda/radix_sort.cuh"

#include <algorithm>
#include <utility>

#include "kernels/cuda/block.cuh"

namespace tutti::kernels {
namespace {

constexpr int digit_bits = 8, digits = 1 << digit_bits;
constexpr int threads = 256, warps = threads / 32;
constexpr std::uint32_t rounds = 8;                                     // keys of a thread
constexpr std::uint32_t of_warp = 32 * rounds, tile = of_warp * warps;  // neighbouring keys

// How many lower lanes of the warp have the same digit, and how many lanes at all. Lanes without a key have digit -1.
struct Rank {
  int before, all;
};
__device__ Rank rank_in_warp(int digit) {
  unsigned same = all_lanes;
#pragma unroll
  for (int bit = 0; bit <= digit_bits; ++bit) {  // the last one is the sign
    const bool mine = digit >> bit & 1;
    const unsigned votes = __ballot_sync(all_lanes, mine);
    same &= mine ? votes : ~votes;
  }
  return {__popc(same & ((1u << lane_of_warp()) - 1)), __popc(same)};
}

// counts[digit][tile]
__global__ void count_kernel(const std::uint32_t* keys, std::uint32_t count, int shift,
                             std::uint32_t* counts) {
  struct Digits {
    std::uint32_t at[digits];
  };
  auto& mine = shared<Digits>();
  mine.at[threadIdx.x] = 0;
  __syncthreads();
  const std::uint32_t first = blockIdx.x * tile, last = min(count - first, tile) + first;
  for (std::uint32_t i = first + threadIdx.x; i < last; i += threads)
    atomicAdd(&mine.at[keys[i] >> shift & (digits - 1)], 1u);
  __syncthreads();
  counts[threadIdx.x * gridDim.x + blockIdx.x] = mine.at[threadIdx.x];
}

// The sum over the lanes up to this one.
__device__ std::uint32_t scan_warp(std::uint32_t value) {
#pragma unroll
  for (unsigned by = 1; by < 32; by *= 2) {
    const std::uint32_t below = __shfl_up_sync(all_lanes, value, by);
    if (lane_of_warp() >= by) value += below;
  }
  return value;
}

// The sum over the threads before.
__device__ std::uint32_t scan_block(std::uint32_t mine) {
  struct Sums {
    std::uint32_t of_warp[warps];
  };
  auto& sums = shared<Sums>();
  const std::uint32_t up_to = scan_warp(mine);
  if (lane_of_warp() == 31) sums.of_warp[threadIdx.x / 32] = up_to;
  __syncthreads();
  std::uint32_t before = up_to - mine;
  for (unsigned w = 0; w < threadIdx.x / 32; ++w) before += sums.of_warp[w];
  return before;
}

// A warp a digit: the count of each tile becomes that of the tiles before, and totals[digit] that of all.
__global__ void scan_kernel(std::uint32_t* counts, std::uint32_t tiles, std::uint32_t* totals) {
  const std::uint32_t digit = blockIdx.x * warps + threadIdx.x / 32, lane = lane_of_warp();
  auto* const mine = counts + digit * tiles;
  std::uint32_t before = 0;
  for (std::uint32_t first = 0; first < tiles; first += 32) {
    const std::uint32_t i = first + lane, count = i < tiles ? mine[i] : 0, up_to = scan_warp(count);
    if (i < tiles) mine[i] = before + up_to - count;
    before += __shfl_sync(all_lanes, up_to, 31);
  }
  if (lane == 0) totals[digit] = before;
}

// A key goes behind all with smaller digits, those of earlier tiles and warps, and of lower places in its warp.
__global__ void scatter_kernel(const std::uint32_t* keys, const std::uint32_t* places, std::uint32_t count,
                               int shift, const std::uint32_t* counts, const std::uint32_t* totals,
                               std::uint32_t* to_keys, std::uint32_t* to_places) {
  struct Next {
    std::uint32_t of_warp[warps][digits];
  };
  auto& next = shared<Next>();
  for (int w = 0; w < warps; ++w) next.of_warp[w][threadIdx.x] = 0;
  __syncthreads();
  auto* const mine = next.of_warp[threadIdx.x / 32];
  const std::uint32_t first_of_warp = blockIdx.x * tile + threadIdx.x / 32 * of_warp;
  const std::uint32_t first = first_of_warp + lane_of_warp();
  std::uint32_t key[rounds], before[rounds];
#pragma unroll
  for (std::uint32_t r = 0; r < rounds; ++r) {
    if (first_of_warp + r * 32 >= count) continue;  // for the whole warp
    const bool is_one = first + r * 32 < count;
    key[r] = is_one ? keys[first + r * 32] : 0;
    const int digit = is_one ? static_cast<int>(key[r] >> shift & (digits - 1)) : -1;
    const Rank rank = rank_in_warp(digit);
    if (is_one) before[r] = mine[digit] + static_cast<std::uint32_t>(rank.before);
    __syncwarp();
    if (is_one && rank.before == 0) mine[digit] += static_cast<std::uint32_t>(rank.all);
    __syncwarp();
  }
  __syncthreads();
  std::uint32_t start = scan_block(totals[threadIdx.x]);
  if (gridDim.x > 1) start += counts[threadIdx.x * gridDim.x + blockIdx.x];
  for (int w = 0; w < warps; ++w) start += std::exchange(next.of_warp[w][threadIdx.x], start);
  __syncthreads();
#pragma unroll
  for (std::uint32_t r = 0; r < rounds; ++r) {
    const std::uint32_t i = first + r * 32;
    if (i >= count) continue;
    const std::uint32_t to = mine[key[r] >> shift & (digits - 1)] + before[r];
    to_keys[to] = key[r];
    to_places[to] = places ? places[i] : i;
  }
}

}  // namespace

SortedKeys::SortedKeys(std::uint32_t count, int bits)
    : count_(count),
      tiles_(count / tile + (count % tile != 0)),
      bits_(bits),
      memory_((std::size_t{4} * count + std::size_t{digits} * (tiles_ + 1)) * sizeof(std::uint32_t)) {
  auto* at = memory_.as<std::uint32_t>();
  for (auto** array : {&keys_[0], &keys_[1], &places_[0], &places_[1]}) {
    *array = at;
    at += count;
  }
  counts_ = at;
}

// At least one pass, which makes the places. The counts of a single tile are those of all.
void SortedKeys::sort(const char* name) {
  if (count_ == 0) return;
  std::uint32_t* const totals = tiles_ == 1 ? counts_ : counts_ + std::size_t{digits} * tiles_;
  for (int shift = 0; shift < std::max(bits_, 1); shift += digit_bits) {
    run(name, count_kernel, {tiles_, threads}, keys_[now_], count_, shift, counts_);
    if (tiles_ > 1) run(name, scan_kernel, {digits / warps, threads}, counts_, tiles_, totals);
    run(name, scatter_kernel, {tiles_, threads}, keys_[now_], shift == 0 ? nullptr : places_[now_], count_,
        shift, counts_, totals, keys_[1 - now_], places_[1 - now_]);
    now_ = 1 - now_;
  }
}

}  // namespace tutti::kernels
