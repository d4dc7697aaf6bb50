#include "fault_case.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using namespace std::chrono_literals;

constexpr int calm_rounds = 2;

class Rank {
 public:
  Rank(Communicator& comm, const FaultCase& fault, const Board& board)
      : comm_(comm), case_(fault), board_(board), memory_(comm, fault.count, fault.registered) {
    right_.count = fault.count;
  }

  std::string run() {
    std::thread watchdog;
    std::string result;
    try {
      while (true) {
        const auto round = ++board_[comm_.rank()].rounds;
        if (round > calm_rounds) comm_.set_timeout(case_.timeout());
        if (at_fault() && round > calm_rounds) misbehave(watchdog);
        case_.operation->call(comm_, memory_, arguments(round));
      }
    } catch (const CommError& error) {
      board_[comm_.rank()].failed_at = nanoseconds_now();
      result = check(error);
    }
    board_[comm_.rank()].rounds = done;
    if (watchdog.joinable()) watchdog.join();
    return result.empty() ? "fine" : result;
  }

 private:
  bool at_fault() const { return comm_.rank() == case_.culprit; }

  Arguments arguments(std::int64_t round) const {
    Arguments arguments = right_;
    if (!at_fault() || round <= calm_rounds) return arguments;
    if (case_.fault == Fault::other_count) ++arguments.count;
    if (case_.fault == Fault::other_dtype) arguments.dtype = DType::i32;
    if (case_.fault == Fault::other_op) arguments.op = ReduceOp::max;
    if (case_.fault == Fault::other_root) arguments.root = 1;
    arguments.null = case_.fault == Fault::null_buffer;
    arguments.overlap = case_.fault == Fault::overlap;
    return arguments;
  }

  void misbehave(std::thread& watchdog) {
    switch (case_.fault) {
      case Fault::exits:
        ::_exit(0);
      case Fault::throws:
        throw std::runtime_error("fine");
      case Fault::absent:
        wait_for_the_others();
        throw std::runtime_error("fine");
      case Fault::aborts:
        if (!watchdog.joinable()) {
          watchdog = std::thread([this] {
            std::this_thread::sleep_for(2ms);
            comm_.abort("enough");
          });
        }
        break;
      case Fault::other_collective:
        if (case_.operation->has_elements)
          comm_.barrier();
        else
          comm_.broadcast(std::span(&number_, 1));
        break;
      default:
        break;
    }
  }

  // Where ranks are threads, all have to end.
  void wait_for_the_others() const {
    for (int rank = 0; rank < comm_.size(); ++rank) {
      while (rank != comm_.rank() && board_[rank].rounds != done) std::this_thread::sleep_for(5ms);
    }
  }

  // What is wrong; empty for nothing.
  std::string check(const CommError& error) {
    const std::string what = error.what();
    const std::string collective = error.collective();
    const bool own_other_call = at_fault() && case_.fault == Fault::other_collective;
    if ((dynamic_cast<const TimeoutError*>(&error) != nullptr) != case_.is_late())
      return "wrong type: " + what;
    if (error.rank() != case_.culprit) return fmt::format("names rank {}: {}", error.rank(), what);
    if (!own_other_call && !case_.operation->is_called(collective)) return "of another collective: " + what;
    if (what.find(fmt::format("{} #{}", collective, error.sequence())) != 0) return "no sequence: " + what;
    try {
      comm_.barrier();
      return "no error the second time";
    } catch (const CommError& again) {
      if (again.what() != what) return fmt::format("first: {}; then: {}", what, again.what());
    }
    return check_shrunk();
  }

  std::string check_shrunk() const {
    Communicator group = comm_.shrink();
    const int expected = case_.everyone_survives() ? comm_.size() : comm_.size() - 1;
    if (group.size() != expected) return fmt::format("{} ranks are left, not {}", group.size(), expected);
    std::vector<std::int64_t> numbers(1000, comm_.rank() + 1);
    group.all_reduce(numbers);
    const int all = comm_.size() * (comm_.size() + 1) / 2;
    const int sum = case_.everyone_survives() ? all : all - (case_.culprit + 1);
    const bool right = std::all_of(numbers.begin(), numbers.end(), [&](auto n) { return n == sum; });
    return right ? "" : "wrong sum of the survivors";
  }

  static constexpr std::int64_t done = -1;

  Communicator& comm_;
  const FaultCase& case_;
  const Board& board_;
  Memory memory_;
  Arguments right_;
  std::int32_t number_ = 0;
};

}  // namespace

const char* name_of(Fault fault) {
  constexpr const char* names[] = {"Killed",    "Stopped",         "Exits",      "Throws",     "Absent",
                                   "Aborts",    "OtherCollective", "OtherCount", "OtherDType", "OtherOp",
                                   "OtherRoot", "NullBuffer",      "Overlap"};
  return names[static_cast<std::size_t>(fault)];
}

std::string FaultCase::str() const {
  return fmt::format("{} {}[{}]{} of rank {}", name_of(fault), operation->name, count,
                     registered ? " registered" : "", culprit);
}

bool FaultCase::makes_sense() const {
  switch (fault) {
    case Fault::other_collective:  // who waits for a message hears nothing of collectives
      return !operation->is_message;
    case Fault::other_count:
    case Fault::other_dtype:
      return operation->has_elements;
    case Fault::other_op:
      return operation->reduces;
    case Fault::other_root:
      return operation->has_root;
    case Fault::null_buffer:
      return operation->has_in;
    case Fault::overlap:
      return operation->has_out;
    default:
      return true;
  }
}

bool FaultCase::everyone_survives() const {
  switch (fault) {
    case Fault::aborts:
    case Fault::other_collective:
    case Fault::other_count:
    case Fault::other_dtype:
    case Fault::other_op:
    case Fault::other_root:
      return true;
    default:
      return false;
  }
}

std::chrono::milliseconds FaultCase::timeout() const {
  return is_late() ? 500ms * TEST_SLOWDOWN : 30'000ms * TEST_SLOWDOWN;
}

std::string run_fault(Communicator& comm, const FaultCase& fault, const Board& board) {
  return Rank(comm, fault, board).run();
}

}  // namespace tutti::test
