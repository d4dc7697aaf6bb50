// One run of a random mix of collectives in which ranks are lost at random moments.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "board.h"
#include "tutti/comm/communicator.h"

namespace tutti::test {

struct Losses {
  // The same seed makes the same run, but for the moments.
  explicit Losses(std::uint32_t seed);

  std::uint32_t seed;
  int size;                         // 2 to 5
  std::vector<int> victims;         // one or two, in the order in which they are lost
  std::chrono::microseconds delay;  // after the first round
  std::chrono::microseconds gap;    // from the one to the other
};

// What each rank does: the mix, until a rank is lost; then it goes on with those that are left, until only survivors are,
// and a little longer. "fine", or what was not as it must be.
std::string survive(Communicator& world, const Losses& run, const Board& board);

}  // namespace tutti::test
