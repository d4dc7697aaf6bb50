#include "benchmarks/report.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "benchmarks/latency.h"
#include "benchmarks/machine.h"
#include "tutti/core/error.h"
#include "tutti/core/version.h"

namespace tutti::bench {

nlohmann::json describe(Communicator& comm, const Settings& settings) {
  const auto latency = line_latency(comm);
  return {{"tutti", version()},
          {"backend", comm.backend()},
          {"ranks", comm.size()},
          {"rounds", settings.rounds},
          {"machine", describe_machine()},
          {"line_latency_ns", latency ? nlohmann::json(*latency) : nlohmann::json()}};
}

nlohmann::json describe(Communicator& comm, const Collective& collective, const Settings& settings) {
  auto document = describe(comm, settings);
  document["collective"] = collective.name;
  document["dtype"] = name_of(settings.dtype);
  document["op"] = collective.reduces ? name_of(settings.op) : "none";
  document["buffers"] = settings.registered ? "registered" : "private";
  document["rows"] = nlohmann::json::array();
  return document;
}

std::string latency_text(const nlohmann::json& nanoseconds) {
  return nanoseconds.is_null() ? "unknown" : fmt::format("{:.0f} ns", nanoseconds.get<double>());
}

void print_heading(const nlohmann::json& document, const std::string& how) {
  fmt::print("# tutti-bench {} {}: {} ranks, back end {}, {} buffers, median of {} rounds{}\n",
             document["tutti"].get<std::string>(), document["collective"].get<std::string>(),
             document["ranks"].get<int>(), document["backend"].get<std::string>(),
             document["buffers"].get<std::string>(), document["rounds"].get<int>(), how);
}

std::string number_text(double value) {
  return fmt::format("{:.{}f}", value, value < 1000 ? 2 : value < 10000 ? 1 : 0);
}

std::string spread_text(const Spread& spread) {
  return fmt::format("({} to {})", number_text(spread.lowest), number_text(spread.highest));
}

void put(nlohmann::json& object, const std::string& name, const Spread& spread) {
  object[name] = spread.median;
  object[name + "_min"] = spread.lowest;
  object[name + "_max"] = spread.highest;
}

Spread get(const nlohmann::json& object, const std::string& name) {
  return {object[name], object[name + "_min"], object[name + "_max"]};
}

void write_document(const std::string& path, const nlohmann::json& document) {
  std::ofstream file(path);
  file << document.dump(2) << '\n';
  file.close();
  if (!file) throw DataError(fmt::format("cannot write {}: {}", path, std::strerror(errno)));
}

}  // namespace tutti::bench
