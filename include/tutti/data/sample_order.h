/// \file
/// The order of samples: a pure function, so that nothing but a position is needed to go on, on any number of
/// ranks.
#pragma once

#include <cstdint>

namespace tutti::data {

/// Place `i` of 0 ... n-1 in the random order of epoch `epoch`: for fixed other arguments, a permutation of
/// 0 ... n-1. Takes constant time and no memory.
/// \throws ShapeError when `i` is not below `n`.
std::uint64_t shuffled(std::uint64_t seed, std::uint64_t epoch, std::uint64_t n, std::uint64_t i);

/// A number in [0, n) that depends on the other arguments alone, uniform but for a bias of n / 2^64.
/// \throws ShapeError when `n` is 0.
std::uint64_t random_below(std::uint64_t n, std::uint64_t seed, std::uint64_t step, std::uint64_t sample);

}  // namespace tutti::data
