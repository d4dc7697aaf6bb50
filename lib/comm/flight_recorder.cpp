#include "comm/flight_recorder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace tutti::comm {
namespace {

using std::chrono::microseconds;
constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto release = std::memory_order_release;
constexpr auto acquire = std::memory_order_acquire;

std::string clock_time(std::chrono::system_clock::time_point time) {
  const auto since = std::chrono::floor<microseconds>(time).time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  return fmt::format("{:%H:%M:%S}.{:06}", fmt::gmtime(static_cast<std::time_t>(seconds.count())),
                     (since - seconds).count());
}

}  // namespace

std::uint64_t FlightRecorder::add(const Backend::Call& call, const Summary& summary,
                                  FlightRecord::State state) {
  const std::uint64_t number = last_.load(relaxed) + 1;
  Entry& e = entry(number);
  e.number.store(0, relaxed);
  e.sequence.store(call.sequence, release);
  e.collective.store(call.name, release);
  e.bytes.store(summary.bytes, release);
  e.peer.store(summary.peer, release);
  e.dtype.store(summary.dtype, release);
  e.state.store(state, release);
  e.start.store(ticks(), release);
  e.number.store(number, release);
  last_.store(number, release);
  return number;
}

void FlightRecorder::set(std::uint64_t number, FlightRecord::State state) {
  Entry& e = entry(number);
  if (e.number.load(relaxed) != number) return;  // overwritten while it was queued
  e.end.store(ticks(), release);
  e.state.store(state, release);
}

std::vector<FlightRecord> FlightRecorder::records() const {
  std::vector<FlightRecord> records;
  const std::uint64_t last = last_.load(acquire);
  const TickClock::Reading now;
  for (std::uint64_t number = last > capacity ? last - capacity + 1 : 1; number <= last; ++number) {
    const Entry& e = entries_[number % capacity];
    if (e.number.load(acquire) != number) continue;
    const auto state = e.state.load(acquire);
    const auto start = clock_.time_of(e.start.load(acquire), now);
    const bool ended = state == FlightRecord::State::done || state == FlightRecord::State::failed;
    const FlightRecord record{e.sequence.load(acquire),
                              e.collective.load(acquire),
                              e.dtype.load(acquire),
                              e.bytes.load(acquire),
                              e.peer.load(acquire),
                              state,
                              start,
                              ended ? clock_.time_of(e.end.load(acquire), now) : start};
    if (e.number.load(relaxed) == number) records.push_back(record);
  }
  return records;
}

std::string_view name_of(FlightRecord::State state) {
  constexpr std::string_view names[] = {"queued", "running", "done", "failed"};
  return names[static_cast<std::size_t>(state)];
}

std::string str(const std::vector<FlightRecord>& records) {
  std::string text = fmt::format("{:>10}  {:<14} {:>12}  {:<5} {:>4}  {:<8} {:<15}  {:>12}\n", "sequence",
                                 "collective", "bytes", "dtype", "peer", "state", "start (UTC)", "time (us)");
  for (const auto& r : records) {
    const auto took = std::chrono::duration_cast<microseconds>(r.end - r.start).count();
    text += fmt::format("{:>10}  {:<14} {:>12}  {:<5} {:>4}  {:<8} {:<15}  {:>12}\n", r.sequence,
                        r.collective, r.bytes, name_of(r.dtype), r.peer < 0 ? "-" : fmt::to_string(r.peer),
                        name_of(r.state), clock_time(r.start), r.end > r.start ? fmt::to_string(took) : "-");
  }
  return text;
}

}  // namespace tutti::comm
