/// \file
/// What a rank was doing when something went wrong.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tutti/core/dtype.h"

namespace tutti::comm {

/// One collective or message of a communicator, as this rank saw it. After a failure, the records of all
/// ranks side by side tell who is behind, and where two went apart.
struct FlightRecord {
  enum class State : std::uint8_t { queued, running, done, failed };

  std::uint64_t sequence;  ///< as in errors: of the collective on all ranks, or of the message on its pair
  const char* collective;  ///< "all_reduce"
  DType dtype;
  std::uint64_t bytes;  ///< of this rank's larger buffer
  int peer;             ///< the root, or the other end of a message; -1 where there is none
  State state;
  std::chrono::system_clock::time_point start;  ///< when it was called
  std::chrono::system_clock::time_point end;    ///< when it was done or failed; `start` before that
};

/// "queued", "running", "done", "failed"
std::string_view name_of(FlightRecord::State state);

/// A table, one line a record, the newest last.
std::string str(const std::vector<FlightRecord>& records);

}  // namespace tutti::comm
