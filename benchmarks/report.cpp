#include "benchmarks/report.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "benchmarks/machine.h"
#include "tutti/core/error.h"
#include "tutti/core/version.h"

namespace tutti::bench {
namespace {

std::string op_name(const Collective& collective, const Settings& settings) {
  return std::string(collective.reduces ? name_of(settings.op) : "none");
}

double average_bus_bandwidth(const std::vector<Row>& rows) {
  double sum = 0;
  for (const auto& row : rows) sum += row.out_of_place.bus_bandwidth + row.in_place.bus_bandwidth;
  return rows.empty() ? 0 : sum / (2 * static_cast<double>(rows.size()));
}

std::string columns(const Timing& timing) {
  return fmt::format("{:>10.2f} {:>7.2f} {:>7.2f} {:>7}", timing.microseconds, timing.algorithm_bandwidth,
                     timing.bus_bandwidth, timing.wrong);
}

nlohmann::json to_json(const Timing& timing) {
  return {{"time_us", timing.microseconds},
          {"algbw_gb_s", timing.algorithm_bandwidth},
          {"busbw_gb_s", timing.bus_bandwidth},
          {"wrong", timing.wrong}};
}

}  // namespace

void print_header(const Communicator& comm, const Collective& collective, const Settings& settings) {
  fmt::print("# tutti-bench {} {}: {} ranks, back end {}, {} buffers, median of {} rounds\n", version(),
             collective.name, comm.size(), comm.backend(), settings.shared_buffers ? "shared" : "plain",
             settings.rounds);
  const auto names = fmt::format("   {:>10} {:>7} {:>7} {:>7}", "time", "algbw", "busbw", "#wrong");
  const auto units = fmt::format("   {:>10} {:>7} {:>7} {:>7}", "(us)", "(GB/s)", "(GB/s)", "");
  fmt::print("# {:>38}   {:<34}   {}\n", "", "out of place", "in place");
  fmt::print("# {:>10} {:>12} {:>6} {:>6}{}{}\n", "size", "count", "type", "op", names, names);
  fmt::print("# {:>10} {:>12} {:>6} {:>6}{}{}\n", "(B)", "(elements)", "", "", units,
             units.substr(0, units.size() - 8));
  std::fflush(stdout);
}

void print_row(const Collective& collective, const Settings& settings, const Row& row) {
  fmt::print("  {:>10} {:>12} {:>6} {:>6}   {}   {}\n", row.bytes, row.count, name_of(settings.dtype),
             op_name(collective, settings), columns(row.out_of_place), columns(row.in_place));
  std::fflush(stdout);
}

std::size_t print_summary(const std::vector<Row>& rows) {
  std::size_t wrong = 0;
  for (const auto& row : rows) wrong += row.out_of_place.wrong + row.in_place.wrong;
  fmt::print("# Wrong elements: {}{}\n", wrong, wrong > 0 ? " FAILED" : "");
  fmt::print("# Average bus bandwidth: {:.3f} GB/s\n", average_bus_bandwidth(rows));
  std::fflush(stdout);
  return wrong;
}

nlohmann::json describe(const Communicator& comm, const Collective& collective, const Settings& settings) {
  return {{"tutti", version()},
          {"collective", collective.name},
          {"backend", comm.backend()},
          {"ranks", comm.size()},
          {"dtype", name_of(settings.dtype)},
          {"op", op_name(collective, settings)},
          {"buffers", settings.shared_buffers ? "shared" : "plain"},
          {"rounds", settings.rounds},
          {"machine", describe_machine()},
          {"rows", nlohmann::json::array()}};
}

void write_document(const Settings& settings, const nlohmann::json& document) {
  std::ofstream file(settings.json);
  file << document.dump(2) << '\n';
  file.close();
  if (!file)
    throw DataError(fmt::format("tutti-bench: cannot write {}: {}", settings.json, std::strerror(errno)));
}

void write_json(const Communicator& comm, const Collective& collective, const Settings& settings,
                const std::vector<Row>& rows) {
  auto document = describe(comm, collective, settings);
  for (const auto& row : rows) {
    document["rows"].push_back({{"size", row.bytes},
                                {"count", row.count},
                                {"out_of_place", to_json(row.out_of_place)},
                                {"in_place", to_json(row.in_place)}});
  }
  document["average_busbw_gb_s"] = average_bus_bandwidth(rows);
  write_document(settings, document);
}

}  // namespace tutti::bench
