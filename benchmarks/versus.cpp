#include "benchmarks/versus.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "benchmarks/buffer.h"
#include "benchmarks/pattern.h"
#include "benchmarks/report.h"
#include "tutti/core/version.h"

namespace tutti::bench {
namespace {

constexpr double round_seconds = 0.1;  // of both together
constexpr double most_calls = 500;

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Seconds from when the last rank calls to when the last one is through.
template <typename Call>
double time_of(Communicator& comm, const Pattern& input, BufferView buffer, const Call& call) {
  using Clock = std::chrono::steady_clock;
  const auto now = [] { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); };
  input.fill(buffer);
  comm.barrier();
  double ends[2] = {now(), 0};
  call();
  ends[1] = now();
  comm.all_reduce(ends, ReduceOp::max);
  return ends[1] - ends[0];
}

}  // namespace

VersusRow measure_against(Communicator& comm, const Collective& collective, const Peer& peer,
                          const Settings& settings, std::size_t bytes) {
  const auto count = std::max<std::size_t>(1, bytes / size_of(settings.dtype));
  const Pattern input = input_of(comm, collective, settings), result = result_of(comm, collective, settings);
  const Buffer memory(comm, count, settings);
  const BufferView buffer = memory.view();
  const auto ours = [&] {
    return time_of(comm, input, buffer, [&] { collective.run(comm, buffer, buffer, settings.op); });
  };
  const auto theirs = [&] {
    return time_of(comm, input, buffer, [&] { peer.all_reduce(buffer, settings.op); });
  };

  double once = theirs() + theirs();
  ours();
  std::int64_t wrong[] = {static_cast<std::int64_t>(result.wrong(buffer))};
  comm.all_reduce(wrong);
  once += ours();
  const int calls = settings.iterations > 0
                        ? settings.iterations
                        : static_cast<int>(std::clamp(round_seconds / std::max(once, 1e-9), 1.0, most_calls));
  std::vector<double> our_rounds, their_rounds, ratios;
  for (int round = 0; round < settings.rounds; ++round) {
    std::vector<double> our_calls, their_calls;
    for (int i = 0; i < calls; ++i) {
      our_calls.push_back(ours());
      their_calls.push_back(theirs());
    }
    our_rounds.push_back(median_of(our_calls));
    their_rounds.push_back(median_of(their_calls));
    ratios.push_back(their_rounds.back() / our_rounds.back());
  }
  const auto [lowest, highest] = std::minmax_element(ratios.begin(), ratios.end());
  return {.bytes = buffer.bytes(),
          .count = count,
          .ours = median_of(our_rounds) * 1e6,
          .theirs = median_of(their_rounds) * 1e6,
          .ratio = median_of(ratios),
          .lowest = *lowest,
          .highest = *highest,
          .wrong = static_cast<std::size_t>(wrong[0])};
}

void print_versus_header(const Communicator& comm, const Collective& collective, const Peer& peer,
                         const Settings& settings) {
  fmt::print("# tutti-bench {} {}: {} ranks, back end {}, {} buffers, in place, rewritten before each call\n",
             version(), collective.name, comm.size(), comm.backend(),
             settings.shared_buffers ? "shared" : "plain");
  fmt::print(
      "# against {}, by turns; medians of {} rounds; ratio: how many times faster Tutti is (least to most)\n",
      peer.name, settings.rounds);
  fmt::print("# {:>10} {:>12} {:>6} {:>6} {:>12} {:>12} {:>8} {:>16} {:>7}\n", "size (B)", "count", "type",
             "op", "Tutti (us)", "peer (us)", "ratio", "", "#wrong");
  std::fflush(stdout);
}

void print_versus_row(const Settings& settings, const VersusRow& row) {
  fmt::print("  {:>10} {:>12} {:>6} {:>6} {:>12.2f} {:>12.2f} {:>7.2f}x {:>16} {:>7}\n", row.bytes, row.count,
             name_of(settings.dtype), name_of(settings.op), row.ours, row.theirs, row.ratio,
             fmt::format("({:.2f} to {:.2f})", row.lowest, row.highest), row.wrong);
  std::fflush(stdout);
}

void write_versus_json(const Communicator& comm, const Collective& collective, const Peer& peer,
                       const Settings& settings, const std::vector<VersusRow>& rows) {
  auto document = describe(comm, collective, settings);
  document["peer"] = peer.name;
  for (const auto& row : rows) {
    document["rows"].push_back({{"size", row.bytes},
                                {"count", row.count},
                                {"time_us", row.ours},
                                {"peer_time_us", row.theirs},
                                {"ratio", row.ratio},
                                {"ratio_min", row.lowest},
                                {"ratio_max", row.highest},
                                {"wrong", row.wrong}});
  }
  write_document(settings, document);
}

}  // namespace tutti::bench
