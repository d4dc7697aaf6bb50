// One fault in one collective: what the rank at fault does, and what every other one must see of it.
#pragma once

#include <chrono>
#include <string>

#include "board.h"
#include "operations.h"

namespace tutti::test {

enum class Fault {
  killed,   // by the test, between its second round and the end
  stopped,  // likewise
  exits,
  throws,
  absent,
  aborts,
  other_collective,
  other_count,
  other_dtype,
  other_op,
  other_root,
  null_buffer,
  overlap,
};

const char* name_of(Fault fault);

struct FaultCase {
  Fault fault;
  const Operation* operation;
  std::size_t count;
  bool registered;
  int culprit;

  std::string str() const;
  bool makes_sense() const;  // the collective has what the fault needs
  bool is_late() const { return fault == Fault::stopped || fault == Fault::absent; }
  bool everyone_survives() const;
  std::chrono::milliseconds timeout() const;
};

// All ranks run it. Repeats the collective until the fault shows; "fine" where everything was as it must be, also on the
// rank at fault when it survives.
std::string run_fault(Communicator& comm, const FaultCase& fault, const Board& board);

}  // namespace tutti::test
