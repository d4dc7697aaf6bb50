#include "tutti/data/sample_order.h"

#include <fmt/format.h>

#include <bit>

#include "tutti/core/error.h"

namespace tutti::data {
namespace {

// The finaliser of SplitMix64 (G. L. Steele et al., OOPSLA 2014): every input bit changes half of the output
// bits.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

// A Feistel network permutes 0 ... 4^half - 1; walking along its cycles until the value is below n permutes
// 0 ... n-1 (J. Black, P. Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
std::uint64_t shuffled(std::uint64_t seed, std::uint64_t epoch, std::uint64_t n, std::uint64_t i) {
  if (i >= n) throw ShapeError(fmt::format("shuffled: place {} is outside [0, {})", i, n));
  const int bits = static_cast<int>(std::bit_width(n - 1));
  const int half = bits < 4 ? 2 : (bits + 1) / 2;  // networks on fewer bits reach few permutations
  const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
  const std::uint64_t key = mix(mix(seed) ^ epoch);
  constexpr std::uint64_t rounds = 8;
  do {
    std::uint64_t left = i >> half;
    std::uint64_t right = i & mask;
    for (std::uint64_t round = 0; round < rounds; ++round) {
      const auto next = left ^ (mix(key ^ mix(right << 8 | round)) & mask);
      left = right;
      right = next;
    }
    i = left << half | right;
  } while (i >= n);
  return i;
}

std::uint64_t random_below(std::uint64_t n, std::uint64_t seed, std::uint64_t step, std::uint64_t sample) {
  if (n == 0) throw ShapeError("random_below: there is no number in [0, 0)");
  return mix(mix(mix(seed) ^ step) ^ sample) % n;
}

}  // namespace tutti::data
