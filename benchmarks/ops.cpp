#include "benchmarks/ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "benchmarks/machine.h"
#include "benchmarks/op_cases.h"
#include "benchmarks/report.h"
#include "benchmarks/timing.h"
#include "kernels/memory.h"
#include "tutti/core/cuda.h"
#include "tutti/core/default_device.h"
#include "tutti/core/error.h"
#include "tutti/core/threads.h"
#include "tutti/core/version.h"
#include "tutti/tensor/creation.h"

namespace tutti::bench {
namespace {

double seconds_of(const std::function<void()>& call, int times) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < times; ++i) call();
  if (default_device().is_cuda()) cuda::synchronize(default_device());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / times;
}

// Of one call, over rounds of at least 2 ms each.
Spread time_of(const std::function<void()>& call, int rounds) {
  seconds_of(call, 2);
  const int times = std::max(1, static_cast<int>(2e-3 / seconds_of(call, 1)));
  std::vector<double> seconds;
  for (int round = 0; round < rounds; ++round) seconds.push_back(seconds_of(call, times));
  return spread_of(seconds);
}

// What the threads, or the GPU, copy in a second, read and written.
double copy_bandwidth(int rounds) {
  const Device device = default_device();
  const Tensor from = ones({device.is_cpu() ? 16 << 20 : 256 << 20}), to = empty_like(from);
  const auto bytes = static_cast<std::size_t>(from.numel()) * 4;
  const auto copy = [&] { kernels::copy_bytes(to.raw_data(), device, from.raw_data(), device, bytes); };
  return 2 * static_cast<double>(bytes) / time_of(copy, rounds).median;
}

nlohmann::json measure(const OpCase& one, int rounds, double bandwidth) {
  const auto time = time_of(one.make(), rounds);
  nlohmann::json row{{"name", one.name}, {"bytes", one.bytes}, {"flops", one.flops}};
  put(row, "us", {time.median * 1e6, time.lowest * 1e6, time.highest * 1e6});
  if (one.bytes > 0) row["of_copy"] = one.bytes / bandwidth / time.median;
  return row;
}

void print(const nlohmann::json& row) {
  const auto time = get(row, "us");
  const double bytes = row["bytes"], flops = row["flops"];
  const std::string rate = flops > 0   ? fmt::format("{:.1f} GFLOP/s", flops / time.median / 1e3)
                           : bytes > 0 ? fmt::format("{:.1f} GB/s", bytes / time.median / 1e3)
                                       : "";
  const std::string part =
      bytes > 0 ? fmt::format("{:.0f} % of copying", row["of_copy"].get<double>() * 100) : "";
  fmt::print("{:<52} {:>10} us {:<22} {:>15} {:>18}\n", row["name"].get<std::string>(),
             number_text(time.median), spread_text(time), rate, part);
}

}  // namespace

int measure_ops(const Settings& settings, const OpsSettings& ops) {
  const DefaultDevice on_device(Device::parse(ops.device));
  auto cases = op_cases(default_device(), ops.dtype);
  std::erase_if(cases, [&](const OpCase& one) { return one.name.find(ops.filter) == std::string::npos; });
  if (cases.empty()) throw ConfigError(fmt::format("ops: no operation has '{}' in its name", ops.filter));
  const double bandwidth = copy_bandwidth(settings.rounds);
  nlohmann::json document{{"tutti", version()},
                          {"machine", describe_machine()},
                          {"threads", num_threads()},
                          {"device", ops.device},
                          {"dtype", name_of(ops.dtype)},
                          {"rounds", settings.rounds},
                          {"copy_bytes_per_s", bandwidth},
                          {"rows", nlohmann::json::array()}};
  fmt::print(
      "# tutti-bench {} ops in {}: {}, copying {:.1f} GB/s, read and written; median of {} rounds (least to "
      "most)\n",
      version(), name_of(ops.dtype),
      default_device().is_cpu() ? fmt::format("{} threads", num_threads()) : ops.device, bandwidth / 1e9,
      settings.rounds);
  for (const auto& one : cases) {
    document["rows"].push_back(measure(one, settings.rounds, bandwidth));
    print(document["rows"].back());
  }
  if (!settings.json.empty()) write_document(settings.json, document);
  return 0;
}

}  // namespace tutti::bench
