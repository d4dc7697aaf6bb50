#include "benchmarks/train.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "benchmarks/report.h"
#include "benchmarks/timing.h"
#include "benchmarks/trainee.h"
#include "tutti/checkpoint/safetensors.h"

namespace tutti::bench {
namespace {

constexpr auto no_small_call = std::numeric_limits<std::size_t>::max();  // each is timed for itself

// The most memory that each rank had so far, from rank 0 on; of ranks that are threads, that of their process.
std::vector<std::int64_t> peak_memory(Communicator& comm) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const std::vector<std::int64_t> mine{static_cast<std::int64_t>(usage.ru_maxrss) * 1024};
  std::vector<std::int64_t> all(static_cast<std::size_t>(comm.size()));
  comm.all_gather(mine, all);
  return all;
}

// For others to begin from: the state dict, and "inputs.<rank>", "targets.<rank>".
void save(const Trainee& trainee, Communicator& comm, const TrainSettings& train) {
  NamedTensors tensors = trainee.model().state_dict();
  for (int rank = 0; rank < comm.size(); ++rank) {
    const auto [inputs, targets] = micro_batch_of(rank, train);
    tensors.push_back({fmt::format("inputs.{}", rank), inputs});
    tensors.push_back({fmt::format("targets.{}", rank), targets});
  }
  safetensors::save(train.save, tensors);
}

nlohmann::json describe_training(Communicator& comm, const Settings& settings, const TrainSettings& train,
                                 const nn::Module& model) {
  auto document = describe(comm, settings);
  document["model"] = train.model;
  document["parameters"] = model.parameter_count();
  document["micro_batch"] = train.micro_batch;
  document["unit"] = unit_of(train);
  document["units_per_step"] = units_of(train) * comm.size();
  document["rows"] = nlohmann::json::array();
  return document;
}

nlohmann::json row_of(Trainee& trainee, const std::vector<double>& seconds, double units) {
  std::vector<double> milliseconds, rate;
  for (const double one : seconds) {
    milliseconds.push_back(one * 1e3);
    rate.push_back(units / one);
  }
  const auto footprint = trainee.footprint();
  nlohmann::json row{{"first_loss", trainee.first_loss()},
                     {"last_loss", trainee.last_loss()},
                     {"parameter_bytes", footprint.parameters},
                     {"gradient_bytes", footprint.gradients},
                     {"optimizer_bytes", footprint.optimizer}};
  put(row, "step_ms", spread_of(milliseconds));
  put(row, "units_per_s", spread_of(rate));
  return row;
}

std::string megabytes(double bytes) { return fmt::format("{:.1f}", bytes / 1e6); }

void print(const nlohmann::json& document) {
  const auto unit = document["unit"].get<std::string>();
  fmt::print(
      "# tutti-bench {} train: {} of {} parameters, {} ranks, back end {}, micro-batches of {}, {} {} in a "
      "step\n",
      document["tutti"].get<std::string>(), document["model"].get<std::string>(),
      document["parameters"].get<std::int64_t>(), document["ranks"].get<int>(),
      document["backend"].get<std::string>(), document["micro_batch"].get<std::int64_t>(),
      document["units_per_step"].get<std::int64_t>(), unit);
  fmt::print("# a cache line from rank 0 to rank 1: {}; median of {} steps (least to most)\n",
             latency_text(document["line_latency_ns"]), document["rounds"].get<int>());
  for (const auto& row : document["rows"]) {
    const auto step = get(row, "step_ms"), rate = get(row, "units_per_s");
    fmt::print("step: {} ms {}\n{}/s: {:.0f} ({:.0f} to {:.0f})\n", number_text(step.median),
               spread_text(step), unit, rate.median, rate.lowest, rate.highest);
    fmt::print("loss: {:.6f} at first, {:.6f} at last\n", row["first_loss"].get<double>(),
               row["last_loss"].get<double>());
    fmt::print("MB on rank 0: parameters {}, gradients {}, optimizer {}\n",
               megabytes(row["parameter_bytes"].get<double>()),
               megabytes(row["gradient_bytes"].get<double>()),
               megabytes(row["optimizer_bytes"].get<double>()));
  }
  fmt::print("peak MB of each rank:");
  for (const auto& bytes : document["peak_rss_bytes"]) fmt::print(" {}", megabytes(bytes.get<double>()));
  fmt::print("\n");
}

}  // namespace

int measure_training(Communicator& comm, const Settings& settings, const TrainSettings& train) {
  Trainee trainee(comm, train);
  if (comm.rank() == 0 && !train.save.empty()) save(trainee, comm, train);
  // A round is one step. Two that begin the measurement, for an estimate, are part of the warm-up.
  Settings timing = settings;
  timing.rounds = train.steps;
  timing.iterations = 1;
  for (int i = 2; i < train.warmup; ++i) trainee.step();
  const Contestant contestant{.prepare = [] {}, .call = [&] { trainee.step(); }};
  const auto seconds = by_turns(comm, timing, no_small_call, {&contestant, 1});

  auto document = describe_training(comm, timing, train, trainee.model());
  const auto units = document["units_per_step"].get<double>();
  document["rows"].push_back(row_of(trainee, seconds[0], units));
  document["peak_rss_bytes"] = peak_memory(comm);
  if (comm.rank() != 0) return 0;
  print(document);
  if (!settings.json.empty()) write_document(settings.json, document);
  return 0;
}

}  // namespace tutti::bench
