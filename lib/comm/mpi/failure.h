// Why a group of MPI ranks cannot go on: as each rank keeps it, and as it tells its peers.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tutti::comm {

// Plain data, sent as it is.
struct MpiFailure {
  MpiFailure() = default;
  MpiFailure(std::string_view collective, std::uint64_t sequence, int rank, bool timeout,
             std::string_view text)
      : sequence(sequence), rank(rank), timeout(timeout) {
    collective.copy(this->collective.data(), this->collective.size() - 1);
    text.copy(this->text.data(), this->text.size() - 1);
  }

  bool in(std::string_view name, std::uint64_t number) const {
    return number == sequence && name.substr(0, collective.size() - 1) == collective.data();
  }

  std::uint64_t sequence = 0;         // of the collective in which it was found; 0 where it was in none
  std::int32_t rank = -1;             // the one at fault
  bool timeout = false;               // a deadline passed
  std::array<char, 16> collective{};  // its name
  std::array<char, 224> text{};
};

}  // namespace tutti::comm
