// tutti-bench: how fast the collectives are, and whether they are right; how fast training is, its operations, and checkpoints.
#include <fmt/format.h>

#include <exception>
#include <nlohmann/json.hpp>

#include "benchmarks/memory.h"
#include "benchmarks/ops.h"
#include "benchmarks/options.h"
#include "benchmarks/ranks.h"
#include "benchmarks/report.h"
#include "benchmarks/table.h"
#include "benchmarks/train.h"
#include "benchmarks/tuned_runs.h"
#include "benchmarks/versus.h"

namespace {

using namespace tutti;
using namespace tutti::bench;

int run_alone(Communicator& comm, const Collective& collective, const Settings& settings) {
  const bool speaks = comm.rank() == 0;
  auto document = describe(comm, collective, settings);
  if (speaks) print_header(collective, document);
  std::vector<Row> rows;
  for (const auto bytes : sizes_of(collective, settings)) {
    rows.push_back(measure(comm, collective, settings, bytes));
    if (speaks) print_row(collective, settings, rows.back());
  }
  if (speaks) print_summary(collective, rows);
  if (speaks && !settings.json.empty()) {
    add_rows(document, rows);
    write_document(settings.json, document);
  }
  return wrong_in(rows) > 0 ? 1 : 0;
}

int finish(const nlohmann::json& document, const Settings& settings) {
  print_versus(document);
  if (!settings.json.empty()) write_document(settings.json, document);
  return wrong_in(document) > 0 ? 1 : 0;
}

int run_against(Communicator& comm, const Collective& collective, const Settings& settings) {
  const Peer peer =
      settings.vs == "mpi" ? mpi_peer(comm, collective, settings) : gloo_peer(comm, collective, settings);
  const auto part = tuned_run();
  const std::string otherwise = settings.vs == "mpi" ? as_started : as_installed;
  const auto document = measure_against(comm, collective, peer, settings, part ? part->tuning : otherwise);
  if (comm.rank() > 0) return 0;
  if (!part) return finish(merged({document}), settings);
  write_document(part->file, document);
  return 0;
}

int run(const Command& command, char** argv) {
  const auto& settings = command.settings;
  if (command.ops) return measure_ops(settings, *command.ops);
  if (command.manifest) return measure_manifest(settings, *command.manifest);
  if (settings.vs == "mpi" && !under_launcher()) {
    const auto tunings = mpi_tunings(*command.collective, settings);
    return finish(merged(run_tunings(tunings, settings, argv)), settings);
  }
  return run_on_ranks(settings, argv, [&](Communicator& comm) {
    if (command.train) return measure_training(comm, settings, *command.train);
    if (command.checkpoint) return measure_checkpoints(comm, settings, *command.checkpoint);
    if (!command.collective) return measure_memory(comm, settings);
    return settings.vs.empty() ? run_alone(comm, *command.collective, settings)
                               : run_against(comm, *command.collective, settings);
  });
}

}  // namespace

int main(int argc, char** argv) {
  int code = -1;
  const auto command = parse(argc, argv, code);
  if (code >= 0) return code;
  try {
    return run(command, argv);
  } catch (const std::exception& error) {  // of Tutti, of a peer, of the file system
    fmt::print(stderr, "tutti-bench: {}\n", error.what());
  }
  return 1;
}
