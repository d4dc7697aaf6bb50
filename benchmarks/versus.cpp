#include "benchmarks/versus.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "benchmarks/check.h"
#include "benchmarks/copy.h"
#include "benchmarks/report.h"

namespace tutti::bench {
namespace {

// By round: how many times longer `above` takes.
Spread ratio(std::vector<double> above, const std::vector<double>& below) {
  std::transform(above.begin(), above.end(), below.begin(), above.begin(), std::divides<>());
  return spread_of(above);
}

Spread microseconds(std::vector<double> seconds) {
  for (auto& value : seconds) value *= 1e6;
  return spread_of(seconds);
}

nlohmann::json measure_size(Communicator& comm, const Collective& collective, const Peer& peer,
                            const Settings& settings, std::size_t bytes) {
  const Contents input = input_of(comm, collective, settings), result = result_of(comm, collective, settings);
  const Buffers buffers(comm, collective, settings, bytes,
                        settings.registered ? Place::registered : Place::private_memory);
  std::optional<Buffers> private_buffers;
  if (settings.registered) private_buffers.emplace(comm, collective, settings, bytes, Place::private_memory);
  const auto operands = [&](const Buffers& from) {
    const bool in_place = collective.in_place && !(settings.out_of_place && collective.out_of_place);
    return in_place ? from.in_place() : from.out_of_place();
  };
  const auto ours = operands(buffers), theirs = operands(private_buffers ? *private_buffers : buffers);
  std::vector<Contestant> contestants{
      {.prepare = [&] { input.fill(ours.in); }, .call = [&] { collective.run(comm, ours, settings.op); }},
      {.prepare = [&] { input.fill(theirs.in); }, .call = [&] { peer.call(theirs); }}};
  nlohmann::json row{{"size", buffers.bytes()}, {"count", buffers.count()}};
  row["wrong"] = wrong_elements(comm, ours, input, result, contestants[0].call);
  row["peer_wrong"] = wrong_elements(comm, theirs, input, result, contestants[1].call);

  std::optional<Copy> copy;
  if (collective.moves_as_a_copy)
    contestants.push_back(copy.emplace(comm, buffers.count(), settings.dtype).contestant());
  const auto seconds = by_turns(comm, settings, buffers.bytes(), contestants);
  put(row, "time_us", microseconds(seconds[0]));
  put(row, "peer_time_us", microseconds(seconds[1]));
  put(row, "ratio", ratio(seconds[1], seconds[0]));
  if (copy) row["of_copy"] = ratio(seconds[2], seconds[0]).median;
  return row;
}

}  // namespace

nlohmann::json measure_against(Communicator& comm, const Collective& collective, const Peer& peer,
                               const Settings& settings, const std::string& tuning) {
  auto document = describe(comm, collective, settings);
  document["peer"] = peer.name;
  document["tuning"] = tuning;
  for (const auto bytes : sizes_of(collective, settings))
    document["rows"].push_back(measure_size(comm, collective, peer, settings, bytes));
  return document;
}

}  // namespace tutti::bench
