// tutti-bench: how fast the collectives are, and whether they are right.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "benchmarks/collective.h"
#include "benchmarks/measure.h"
#include "benchmarks/ranks.h"
#include "benchmarks/report.h"
#include "benchmarks/versus.h"
#include "tutti/core/error.h"
#include "tutti/core/version.h"

namespace {

using namespace tutti;
using namespace tutti::bench;

const Collective* const collectives[] = {&all_reduce};
constexpr ReduceOp all_ops[] = {ReduceOp::sum, ReduceOp::avg, ReduceOp::min, ReduceOp::max, ReduceOp::prod};

constexpr auto footer = R"(
size: bytes of a rank's buffer. time: one call on the slowest rank. algbw: size / time. busbw: what each rank must
send and receive at least, for that time; the number to compare with the hardware and between numbers of ranks.
#wrong: elements, over all ranks, whose bits are not the expected ones. The exit code is 1 if there are any.

Under tutti-run or mpirun it uses the ranks that are there, and -n and --backend mean nothing.

Example: tutti-bench all_reduce -n 4 --backend shm --min 4K --max 256M --dtype f32 --json result.json)";

// An option whose value is one of `values`, by its name.
template <typename T>
void add_choice(CLI::App& app, const char* name, T& target, std::span<const T> values, const char* text) {
  std::vector<std::string> names;
  for (const auto value : values) names.emplace_back(name_of(value));
  const auto assign = [&target, values, names](const std::string& given) {
    target = values[static_cast<std::size_t>(std::find(names.begin(), names.end(), given) - names.begin())];
  };
  app.add_option_function<std::string>(name, assign, text)
      ->check(CLI::IsMember(names))
      ->default_str(std::string(name_of(target)));
}

void add_size(CLI::App& app, const char* name, std::size_t& target, const char* text, const char* as_text) {
  app.add_option(name, target, text)
      ->transform(CLI::AsSizeValue(false).description(""))
      ->type_name("SIZE")
      ->default_str(as_text);
}

void add_options(CLI::App& app, const Collective& collective, Settings& settings) {
  app.add_option("-n,--ranks", settings.ranks, "Number of ranks")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--backend", settings.backend, "How the ranks are connected")
      ->check(CLI::IsMember({"shm", "mpi", "threads"}))
      ->capture_default_str();
  add_size(app, "--min", settings.min_bytes, "Smallest size in bytes: 4096, 4K, 1M", "4K");
  add_size(app, "--max", settings.max_bytes, "Largest size", "256M");
  app.add_option("--factor", settings.factor, "From one size to the next")
      ->check(CLI::Range(2, 1024))
      ->capture_default_str();
  add_choice<DType>(app, "--dtype", settings.dtype, all_dtypes, "Type of the elements");
  if (collective.reduces) add_choice<ReduceOp>(app, "--op", settings.op, all_ops, "Reduction");
  app.add_option("--iters", settings.iterations, "Calls in a round; as many as take 50 ms if not given")
      ->check(CLI::PositiveNumber);
  app.add_option("--rounds", settings.rounds, "Rounds; their median counts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--shared-buffers", settings.shared_buffers, "Buffers from Communicator::allocate");
  app.add_option("--vs", settings.vs,
                 "By turns with it, measure MPI_Allreduce on the same ranks and buffer, in place")
      ->check(CLI::IsMember({"mpi"}));
  app.add_option("--json", settings.json, "Also write the table to FILE")->type_name("FILE");
  app.footer(footer);
}

int run_against(Communicator& comm, const Collective& collective, const Settings& settings) {
  const Peer peer = mpi_peer(comm.size(), settings.dtype, settings.op);
  const bool speaks = comm.rank() == 0;
  if (speaks) print_versus_header(comm, collective, peer, settings);
  std::vector<VersusRow> rows;
  std::size_t wrong = 0;
  for (auto bytes = settings.min_bytes; bytes <= settings.max_bytes; bytes *= settings.factor) {
    rows.push_back(measure_against(comm, collective, peer, settings, bytes));
    wrong += rows.back().wrong;
    if (speaks) print_versus_row(settings, rows.back());
  }
  if (speaks && !settings.json.empty()) write_versus_json(comm, collective, peer, settings, rows);
  return wrong > 0 ? 1 : 0;
}

int run(Communicator& comm, const Collective& collective, const Settings& settings) {
  const bool speaks = comm.rank() == 0;
  if (speaks) print_header(comm, collective, settings);
  std::vector<Row> rows;
  for (auto bytes = settings.min_bytes; bytes <= settings.max_bytes; bytes *= settings.factor) {
    rows.push_back(measure(comm, collective, settings, bytes));
    if (speaks) print_row(collective, settings, rows.back());
  }
  if (!speaks) return 0;
  const auto wrong = print_summary(rows);
  if (!settings.json.empty()) write_json(comm, collective, settings, rows);
  return wrong > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures the collectives of Tutti", "tutti-bench");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("tutti-bench ") + version());
  Settings settings;
  for (const auto* collective : collectives) {
    add_options(*app.add_subcommand(collective->name, collective->summary), *collective, settings);
  }
  try {
    app.parse(argc, argv);
    if (settings.min_bytes > settings.max_bytes)
      throw CLI::ValidationError("--min must not be larger than --max");
    if (settings.min_bytes == 0) throw CLI::ValidationError("--min must not be 0");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const auto& chosen = **std::find_if(std::begin(collectives), std::end(collectives),
                                      [&](const Collective* c) { return app.got_subcommand(c->name); });
  try {
    return run_on_ranks(settings, argv, [&](Communicator& comm) {
      return settings.vs.empty() ? run(comm, chosen, settings) : run_against(comm, chosen, settings);
    });
  } catch (const Error& error) {
    fmt::print(stderr, "tutti-bench: {}\n", error.what());
    return 1;
  }
}
