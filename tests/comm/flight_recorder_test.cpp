// What a communicator remembers of its collectives.
#include "tutti/comm/flight_recorder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "ranks.h"
#include "tutti/core/error.h"
#include "tutti/core/logging.h"

namespace tutti::test {
namespace {

using namespace std::chrono_literals;
using comm::FlightRecord;
using State = FlightRecord::State;
using std::chrono::system_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string line_of(const FlightRecord& r) {
  return fmt::format("{} #{} {} {} B, peer {}, {}", r.collective, r.sequence, name_of(r.dtype), r.bytes,
                     r.peer, comm::name_of(r.state));
}

std::vector<std::string> lines_of(const Communicator& comm) {
  std::vector<std::string> lines;
  for (const auto& record : comm.flight_record()) lines.push_back(line_of(record));
  return lines;
}

TEST(FlightRecorder, TellsEachCallAndMessage) {
  std::vector<std::string> lines;
  on_threads(2, [&](Communicator& comm) -> std::string {
    std::vector<double> two(2), more(2), four(4);
    std::vector<std::uint8_t> byte(1);
    comm.all_reduce(two);
    comm.reduce_scatter(four, two);
    comm.broadcast(byte, 1);
    comm.gather(two, four, 0);
    comm.barrier();
    if (comm.rank() == 0)
      comm.send(two, 1);
    else
      comm.recv(two, 0);
    comm.send_recv(two, 1 - comm.rank(), more, 1 - comm.rank());
    comm.all_gather_async(two, four).wait();
    comm.split(0);
    if (comm.rank() == 0) lines = lines_of(comm);
    return "";
  });
  EXPECT_THAT(
      lines, ElementsAre("all_reduce #1 f64 16 B, peer -1, done", "reduce_scatter #2 f64 32 B, peer -1, done",
                         "broadcast #3 u8 1 B, peer 1, done", "gather #4 f64 32 B, peer 0, done",
                         "barrier #5 u8 0 B, peer -1, done", "send #1 f64 16 B, peer 1, done",
                         "send_recv #2 f64 16 B, peer 1, done", "all_gather #6 f64 32 B, peer -1, done",
                         "split #7 u8 0 B, peer -1, done"));
}

TEST(FlightRecorder, TellsWhen) {
  constexpr auto tolerance = 20ms * TEST_SLOWDOWN;
  on_threads(2, [&](Communicator& comm) -> std::string {
    comm.barrier();
    const auto begin = system_clock::now();
    if (comm.rank() == 1) std::this_thread::sleep_for(200ms);
    comm.barrier();
    const auto end = system_clock::now();
    if (comm.rank() == 1) return "";
    const FlightRecord last = comm.flight_record().back();
    EXPECT_LT(std::chrono::abs(last.start - begin), tolerance);
    EXPECT_LT(std::chrono::abs(last.end - end), tolerance);
    EXPECT_GT(last.end - last.start, 200ms - tolerance);
    return "";
  });
}

TEST(FlightRecorder, KeepsTheLast256InOrder) {
  Communicator comm;
  EXPECT_TRUE(comm.flight_record().empty());
  for (int i = 0; i < 300; ++i) comm.barrier();
  const auto records = comm.flight_record();
  ASSERT_EQ(records.size(), 256u);
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].sequence, 45 + i);
    EXPECT_EQ(records[i].state, State::done);
    EXPECT_GE(records[i].start, records[i == 0 ? 0 : i - 1].start);
  }
}

// What a collective of sequence n gives, so that a record put together from two is found out.
std::size_t count_of(std::uint64_t sequence) { return sequence % 7 + 1; }

TEST(FlightRecorder, IsReadWhileCollectivesRun) {
  on_threads(2, [](Communicator& comm) -> std::string {
    std::atomic<bool> over = false;
    std::thread reader([&] {
      while (!over) {
        std::uint64_t before = 0;
        for (const auto& record : comm.flight_record()) {
          EXPECT_GT(record.sequence, before);
          EXPECT_EQ(record.bytes, 4 * count_of(record.sequence));
          EXPECT_STREQ(record.collective, record.sequence % 2 == 0 ? "all_reduce" : "broadcast");
          EXPECT_EQ(record.peer, record.sequence % 2 == 0 ? -1 : 1);
          before = record.sequence;
        }
      }
    });
    std::vector<float> data(8);
    for (std::uint64_t sequence = 1; sequence <= 3000; ++sequence) {
      const auto part = std::span(data).first(count_of(sequence));
      auto work = sequence % 2 == 0 ? comm.all_reduce_async(part) : comm.broadcast_async(part, 1);
      if (sequence % 3 == 0) work.wait();
    }
    over = true;
    reader.join();
    return "";
  });
}

TEST(FlightRecorder, AWatchdogSeesWhatHangsAndWhatWaitsBehindIt) {
  std::vector<std::string> lines;
  FlightRecord hanging{};
  on_threads(2, [&](Communicator& comm) -> std::string {
    std::vector<float> data(3);
    comm.barrier();
    if (comm.rank() == 1) return std::this_thread::sleep_for(300ms * TEST_SLOWDOWN), "";
    std::thread watchdog([&] {
      std::this_thread::sleep_for(100ms * TEST_SLOWDOWN);
      lines = lines_of(comm);
      hanging = comm.flight_record()[1];
    });
    auto first = comm.all_reduce_async(data);
    auto second = comm.broadcast_async(data, 1);
    watchdog.join();
    EXPECT_THROW(first.wait(), CommError);
    EXPECT_THROW(second.wait(), CommError);
    EXPECT_THAT(lines_of(comm),
                ElementsAre("barrier #1 u8 0 B, peer -1, done", "all_reduce #2 f32 12 B, peer -1, failed",
                            "broadcast #3 f32 12 B, peer 1, failed"));
    return "";
  });
  EXPECT_THAT(lines,
              ElementsAre("barrier #1 u8 0 B, peer -1, done", "all_reduce #2 f32 12 B, peer -1, running",
                          "broadcast #3 f32 12 B, peer 1, queued"));
  EXPECT_EQ(hanging.end, hanging.start);
}

// Keeps what is logged meanwhile.
class Log {
 public:
  Log() {
    before_ = logging::set_sink([this](logging::Level level, std::string_view message) {
      std::scoped_lock lock(mutex_);
      if (level == logging::Level::error) messages_.emplace_back(message);
    });
  }
  ~Log() { logging::set_sink(before_); }

  const std::vector<std::string>& messages() const { return messages_; }

 private:
  std::mutex mutex_;
  std::vector<std::string> messages_;
  logging::Sink before_;
};

TEST(FlightRecorder, IsLoggedOnceWhenACollectiveFails) {
  const Log log;
  on_threads(2, [](Communicator& comm) -> std::string {
    std::vector<float> data(3);
    for (int i = 0; i < 40; ++i) comm.all_reduce(data);
    EXPECT_THROW(comm.broadcast(data, 2), ShapeError);
    if (comm.rank() == 1) return "";
    for (int i = 0; i < 3; ++i) {
      EXPECT_THROW(comm.barrier(), CommError);
      EXPECT_THROW(static_cast<void>(comm.barrier_async()), CommError);
    }
    return "";
  });
  ASSERT_EQ(log.messages().size(), 1u);
  const auto& text = log.messages()[0];
  EXPECT_THAT(text, StartsWith("barrier #41: rank 1 has left the group\n"
                               "The last 16 calls of rank 0 of 2 (threads):\n  sequence  collective "));
  EXPECT_THAT(text, HasSubstr("\n        26  all_reduce "));
  EXPECT_THAT(text, Not(HasSubstr("\n        25  all_reduce ")));
  EXPECT_THAT(text, HasSubstr("\n        41  barrier                   0  u8       -  failed "));
}

TEST(FlightRecorder, PrintsATable) {
  const system_clock::time_point start(1h + 2min + 3s + 4us);
  const std::vector<FlightRecord> records{
      {7, "all_reduce", DType::f32, 4096, -1, State::done, start, start + 1500us},
      {12, "broadcast", DType::bf16, 2, 3, State::running, start, start}};
  EXPECT_EQ(comm::str(records),
            "  sequence  collective            bytes  dtype peer  state    start (UTC)         time (us)\n"
            "         7  all_reduce             4096  f32      -  done     01:02:03.000004          1500\n"
            "        12  broadcast                 2  bf16     3  running  01:02:03.000004             -\n");
  EXPECT_EQ(comm::name_of(State::queued), "queued");
  EXPECT_EQ(comm::name_of(State::failed), "failed");
}

}  // namespace
}  // namespace tutti::test
