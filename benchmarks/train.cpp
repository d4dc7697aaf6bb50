#include "benchmarks/train.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "benchmarks/models.h"
#include "benchmarks/report.h"
#include "benchmarks/timing.h"
#include "benchmarks/trainee.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/memory.h"
#include "tutti/tensor/tensor.h"

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

// What the tensors of this process were for when they were most.
nlohmann::ordered_json peak_tensors(Device device) {
  const auto peak = memory::statistics(device).peak;
  nlohmann::ordered_json bytes;
  for (std::size_t i = 0; i < memory::categories; ++i) {
    const auto category = static_cast<memory::Category>(i);
    bytes[std::string(memory::name_of(category))] = peak[category];
  }
  return bytes;
}

// For others to begin from: the state dict, and "inputs.<logical rank>" and "targets.<logical rank>".
void save(Communicator& comm, const TrainSettings& train) {
  if (comm.rank() != 0) return;
  NamedTensors tensors = make_model(train)->state_dict();  // another one, but the same: not sharded
  for (int v = 0; v < comm.logical_ranks().count(); ++v) {
    const auto [inputs, targets] = micro_batch_of(v, train);
    tensors.push_back({fmt::format("inputs.{}", v), inputs});
    tensors.push_back({fmt::format("targets.{}", v), targets});
  }
  safetensors::save(train.save, tensors);
}

nlohmann::json describe_training(Communicator& comm, const Settings& settings, const TrainSettings& train,
                                 const nn::Module& model) {
  auto document = describe(comm, settings);
  document["model"] = train.model;
  document["device"] = train.device;
  document["dtype"] = name_of(train.dtype);
  document["graph"] = train.graph;
  document["parameters"] = model.parameter_count();
  document["micro_batch"] = train.micro_batch;
  document["unit"] = unit_of(train);
  document["logical_ranks"] = comm.logical_ranks().count();
  document["shard"] = train.shard;
  document["units_per_step"] = units_of(train) * comm.logical_ranks().count();
  document["rows"] = nlohmann::json::array();
  return document;
}

using Seconds = std::chrono::duration<double>;

// What share of steps that took `steps` together the rank that waited most has waited; a collective call.
double waiting_share(Communicator& comm, const DataParallelStats& before, const DataParallelStats& after,
                     Seconds steps) {
  double share[] = {Seconds(after.waiting - before.waiting) / steps};
  comm.all_reduce(share, ReduceOp::max);
  return share[0];
}

nlohmann::json row_of(const Trainee& trainee, const std::vector<double>& seconds, double units) {
  const Spread step = spread_of(seconds);
  const auto stats = trainee.stats();
  nlohmann::json row{{"order", trainee.order() == ReduceOrder::tree ? "tree" : "any"},
                     {"first_loss", trainee.first_loss()},
                     {"last_loss", trainee.loss()},
                     {"losses", trainee.losses()},
                     {"buckets", stats.buckets},
                     {"parameter_bytes", stats.parameter_bytes},
                     {"gradient_bytes", stats.gradient_bytes},
                     {"buffer_bytes", stats.buffer_bytes},
                     {"optimizer_bytes", trainee.optimizer_bytes()}};
  put(row, "step_ms", {step.median * 1e3, step.lowest * 1e3, step.highest * 1e3});
  put(row, "units_per_s", {units / step.median, units / step.highest, units / step.lowest});
  return row;
}

// Pair by pair.
Spread ratios(std::vector<double> above, const std::vector<double>& below) {
  std::transform(above.begin(), above.end(), below.begin(), above.begin(), std::divides<>());
  return spread_of(above);
}

std::string megabytes(double bytes) { return fmt::format("{:.1f}", bytes / 1e6); }

void print_heading(const nlohmann::json& document) {
  fmt::print("# tutti-bench {} train: {} of {} parameters, {} ranks, back end {}\n",
             document["tutti"].get<std::string>(), document["model"].get<std::string>(),
             document["parameters"].get<std::int64_t>(), document["ranks"].get<int>(),
             document["backend"].get<std::string>());
  fmt::print("# a step: {} micro-batches of {}, {} {}; sharded: {}\n", document["logical_ranks"].get<int>(),
             document["micro_batch"].get<std::int64_t>(), document["units_per_step"].get<std::int64_t>(),
             document["unit"].get<std::string>(), document["shard"].get<std::string>());
  fmt::print("# a cache line from rank 0 to rank 1: {}; median of {} steps (least to most)\n",
             latency_text(document["line_latency_ns"]), document["rounds"].get<int>());
}

void print_row(const nlohmann::json& row, const std::string& unit) {
  const auto step = get(row, "step_ms"), rate = get(row, "units_per_s");
  fmt::print("order: {}\n", row["order"].get<std::string>());
  fmt::print("step: {} ms {}, {:.1f} % of it waiting for the reduction\n", number_text(step.median),
             spread_text(step), row["waiting"].get<double>() * 100);
  fmt::print("{}/s: {:.0f} ({:.0f} to {:.0f})\n", unit, rate.median, rate.lowest, rate.highest);
  fmt::print("loss: {:.6f} at first, {:.6f} at last\n", row["first_loss"].get<double>(),
             row["last_loss"].get<double>());
  fmt::print("MB on rank 0: parameters {}, gradients {}, buffers {}, optimizer {}\n",
             megabytes(row["parameter_bytes"].get<double>()), megabytes(row["gradient_bytes"].get<double>()),
             megabytes(row["buffer_bytes"].get<double>()), megabytes(row["optimizer_bytes"].get<double>()));
}

void print(const nlohmann::json& document) {
  print_heading(document);
  for (const auto& row : document["rows"]) print_row(row, document["unit"].get<std::string>());
  if (document.contains("tree_to_any")) {
    const auto by_step = get(document, "tree_to_any_by_step");
    fmt::print("tree takes {:.3f} times as long as any; step by step {:.3f} ({:.3f} to {:.3f})\n",
               document["tree_to_any"].get<double>(), by_step.median, by_step.lowest, by_step.highest);
  }
  fmt::print("MB of tensors at the peak, in the process of rank 0:");
  for (const auto& [category, bytes] : document["peak_tensor_bytes"].items())
    fmt::print(" {} {}", category, megabytes(bytes.get<double>()));
  fmt::print("\npeak MB of each rank:");
  for (const auto& bytes : document["peak_rss_bytes"]) fmt::print(" {}", megabytes(bytes.get<double>()));
  fmt::print("\n");
}

}  // namespace

int measure_training(Communicator& comm, const Settings& settings, const TrainSettings& train) {
  if (train.logical_ranks > 0) comm.set_logical_ranks(train.logical_ranks);
  std::vector<std::unique_ptr<Trainee>> trainees;
  for (const auto order : {ReduceOrder::tree, ReduceOrder::any}) {
    if (train.order == "both" || train.order == (order == ReduceOrder::tree ? "tree" : "any"))
      trainees.push_back(std::make_unique<Trainee>(comm, train, order));
  }
  if (!train.save.empty()) save(comm, train);

  // A round is one step. Two that begin the measurement, for an estimate, are part of the warm-up.
  Settings timing = settings;
  timing.rounds = train.steps;
  timing.iterations = 1;
  std::vector<Contestant> contestants;
  std::vector<DataParallelStats> before;
  std::vector<Seconds> took(trainees.size());
  for (auto& trainee : trainees) {
    for (int i = 2; i < train.warmup; ++i) trainee->step();
    before.push_back(trainee->stats());
    contestants.push_back({.prepare = [] {},
                           .call =
                               [one = trainee.get(), &sum = took[before.size() - 1]] {
                                 const auto begin = std::chrono::steady_clock::now();
                                 one->step();
                                 sum += std::chrono::steady_clock::now() - begin;
                               }});
  }
  const auto seconds = by_turns(comm, timing, no_small_call, contestants);

  auto document = describe_training(comm, timing, train, trainees[0]->model());
  const auto units = document["units_per_step"].get<double>();
  for (std::size_t i = 0; i < trainees.size(); ++i) {
    auto row = row_of(*trainees[i], seconds[i], units);
    row["waiting"] = waiting_share(comm, before[i], trainees[i]->stats(), took[i]);
    document["rows"].push_back(row);
  }
  if (trainees.size() > 1) {
    document["tree_to_any"] = spread_of(seconds[0]).median / spread_of(seconds[1]).median;
    put(document, "tree_to_any_by_step", ratios(seconds[0], seconds[1]));
  }
  document["peak_rss_bytes"] = peak_memory(comm);
  document["peak_tensor_bytes"] = peak_tensors(trainees[0]->model().parameters()[0].tensor.device());
  if (comm.rank() != 0) return 0;
  print(document);
  if (!settings.json.empty()) write_document(settings.json, document);
  return 0;
}

}  // namespace tutti::bench
