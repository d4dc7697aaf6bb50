// The last collectives of a communicator, written by the thread that runs them and read by any.
#pragma once

#include <array>
#include <atomic>
#include <vector>

#include "comm/ticks.h"
#include "tutti/comm/backend.h"
#include "tutti/comm/flight_recorder.h"

namespace tutti::comm {

// What is told of a collective when it is called.
struct Summary {
  DType dtype = DType::u8;
  std::size_t bytes = 0;
  int peer = -1;
};

// It costs a collective a cache line of its own and two readings of the processor's clock.
class FlightRecorder {
 public:
  static constexpr std::size_t capacity = 256;

  // Returns the number of the record.
  std::uint64_t add(const Backend::Call& call, const Summary& summary, FlightRecord::State state);
  void set(std::uint64_t number, FlightRecord::State state);

  std::vector<FlightRecord> records() const;

 private:
  // Plain moves on most processors. A reader notices by `number` what was overwritten while it read.
  struct alignas(64) Entry {
    std::atomic<std::uint64_t> number{0};  // from 1
    std::atomic<std::uint64_t> sequence;
    std::atomic<const char*> collective;
    std::atomic<std::uint64_t> bytes;
    std::atomic<std::int32_t> peer;
    std::atomic<DType> dtype;
    std::atomic<FlightRecord::State> state;
    std::atomic<Ticks> start;
    std::atomic<Ticks> end;
  };

  Entry& entry(std::uint64_t number) { return entries_[number % capacity]; }

  std::array<Entry, capacity> entries_{};
  std::atomic<std::uint64_t> last_ = 0;
  TickClock clock_;
};

}  // namespace tutti::comm
