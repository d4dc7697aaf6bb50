// The words of many blocks at once, and what is made of a word.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/parallel_for.h"
#include "kernels/random.h"

namespace tutti::kernels {

inline constexpr std::int64_t random_piece =
    piece_elements / 4;                           // whole blocks, each of some dozen multiplications
inline constexpr std::int64_t random_lanes = 64;  // fewer, and a compiler writes each of them out

// The words of `random_lanes` blocks from `position` on, one behind the other.
void make_blocks(const RandomState& state, std::uint64_t position, std::uint32_t* out);

// Calls f(words, i, n) for the words of many blocks at once, which make the elements i to i + n - 1 of `count`.
template <typename F>
void for_each_blocks(const RandomState& state, std::int64_t count, std::int64_t per_block, F f) {
  parallel_for(count, random_piece, [&](std::int64_t first, std::int64_t last) {
    std::uint32_t words[4 * random_lanes];
    for (std::int64_t i = first; i < last; i += random_lanes * per_block) {
      make_blocks(state, state.position + static_cast<std::uint64_t>(i / per_block), words);
      f(words, i, std::min(random_lanes * per_block, last - i));
    }
  });
}

}  // namespace tutti::kernels
