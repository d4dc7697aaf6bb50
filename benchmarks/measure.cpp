#include "benchmarks/measure.h"

#include <algorithm>
#include <vector>

#include "benchmarks/check.h"
#include "benchmarks/copy.h"

namespace tutti::bench {
namespace {

std::vector<double> quotients(const std::vector<double>& above, const std::vector<double>& below) {
  std::vector<double> result(above.size());
  std::transform(above.begin(), above.end(), below.begin(), result.begin(), std::divides<>());
  return result;
}

}  // namespace

Row measure(Communicator& comm, const Collective& collective, const Settings& settings, std::size_t bytes) {
  const Contents input = input_of(comm, collective, settings), result = result_of(comm, collective, settings);
  const Buffers buffers(comm, collective, settings, bytes,
                        settings.registered ? Place::registered : Place::private_memory);
  Row row{buffers.bytes(), buffers.count(), {}, {}};

  std::vector<Contestant> contestants;
  std::vector<std::optional<Timing>*> timings;
  const auto add = [&](const Operands& operands, std::optional<Timing>& timing) {
    contestants.push_back({.prepare = [&input, operands] { input.fill(operands.in); },
                           .call = [&, operands] { collective.run(comm, operands, settings.op); }});
    timing.emplace();
    timing->wrong = wrong_elements(comm, operands, input, result, contestants.back().call);
    timings.push_back(&timing);
  };
  if (collective.out_of_place) add(buffers.out_of_place(), row.out_of_place);
  if (collective.in_place) add(buffers.in_place(), row.in_place);
  std::optional<Copy> copy;
  if (collective.moves_as_a_copy)
    contestants.push_back(copy.emplace(comm, row.count, settings.dtype).contestant());

  const auto seconds = by_turns(comm, settings, row.bytes, contestants);
  for (std::size_t i = 0; i < timings.size(); ++i) {
    auto& timing = **timings[i];
    const auto [median, lowest, highest] = spread_of(seconds[i]);
    timing.microseconds = {median * 1e6, lowest * 1e6, highest * 1e6};
    timing.algorithm_bandwidth = static_cast<double>(row.bytes) / median / 1e9;
    timing.bus_bandwidth = timing.algorithm_bandwidth * collective.bus_factor(comm.size());
    if (copy) timing.of_copy = spread_of(quotients(seconds.back(), seconds[i])).median;
  }
  return row;
}

}  // namespace tutti::bench
