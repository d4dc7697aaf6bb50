// Philox4x32-10: four random words from a counter and a key, on any device.
// J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11.
#pragma once

#include <cstdint>

#include "tutti/core/dtype.h"

namespace tutti::kernels {

struct Philox {
  static constexpr std::uint32_t multipliers[] = {0xD2511F53u, 0xCD9E8D57u};
  static constexpr std::uint32_t key_steps[] = {0x9E3779B9u, 0xBB67AE85u};
  std::uint32_t words[4];

  // Block number `position` of the stream `stream` of `seed`.
  TUTTI_HOST_DEVICE Philox(std::uint64_t seed, std::uint64_t stream, std::uint64_t position)
      : words{low(position), high(position), low(stream), high(stream)} {
    std::uint32_t key[2] = {low(seed), high(seed)};
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t a = std::uint64_t{multipliers[0]} * words[0];
      const std::uint64_t b = std::uint64_t{multipliers[1]} * words[2];
      const std::uint32_t next[4] = {high(b) ^ words[1] ^ key[0], low(b), high(a) ^ words[3] ^ key[1],
                                     low(a)};
      for (int i = 0; i < 4; ++i) words[i] = next[i];
      key[0] += key_steps[0];
      key[1] += key_steps[1];
    }
  }

 private:
  TUTTI_HOST_DEVICE static std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
  TUTTI_HOST_DEVICE static std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }
};

}  // namespace tutti::kernels
