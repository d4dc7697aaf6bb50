// tutti-bench: how fast the collectives are, and whether they are right.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>

#include "benchmarks/collective.h"
#include "benchmarks/measure.h"
#include "benchmarks/ranks.h"
#include "benchmarks/report.h"
#include "tutti/core/error.h"
#include "tutti/core/version.h"

namespace {

using namespace tutti;
using namespace tutti::bench;

const Collective* const collectives[] = {&all_reduce};

constexpr auto footer = R"(
size: bytes of a rank's buffer. time: one call on the slowest rank. algbw: size / time. busbw: what each rank must
send and receive at least, for that time; the number to compare with the hardware and between numbers of ranks.
#wrong: elements, over all ranks, whose bits are not the expected ones. The exit code is 1 if there are any.

Under tutti-run or mpirun it uses the ranks that are there, and -n and --backend mean nothing.

Example: tutti-bench all_reduce -n 4 --backend shm --min 4K --max 256M --dtype f32 --json result.json)";

template <typename T, std::size_t n>
std::map<std::string, T> by_name(const T (&values)[n]) {
  std::map<std::string, T> result;
  for (const auto value : values) result.emplace(name_of(value), value);
  return result;
}

void add_options(CLI::App& app, const Collective& collective, Settings& settings) {
  const ReduceOp ops[] = {ReduceOp::sum, ReduceOp::avg, ReduceOp::min, ReduceOp::max, ReduceOp::prod};
  app.add_option("-n,--ranks", settings.ranks, "Number of ranks")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--backend", settings.backend, "How the ranks are connected")
      ->check(CLI::IsMember({"shm", "mpi", "threads"}))
      ->capture_default_str();
  app.add_option("--min", settings.min_bytes, "Smallest size, in bytes: 4096, 4K, 1M")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--max", settings.max_bytes, "Largest size")->transform(CLI::AsSizeValue(false));
  app.add_option("--factor", settings.factor, "From one size to the next")
      ->check(CLI::Range(2, 1024))
      ->capture_default_str();
  app.add_option("--dtype", settings.dtype, "Type of the elements")
      ->transform(CLI::CheckedTransformer(by_name(all_dtypes)))
      ->default_str("f32");
  if (collective.reduces) {
    app.add_option("--op", settings.op, "Reduction")
        ->transform(CLI::CheckedTransformer(by_name(ops)))
        ->default_str("sum");
  }
  app.add_option("--iters", settings.iterations, "Calls in a round; as many as take 50 ms if not given")
      ->check(CLI::PositiveNumber);
  app.add_option("--rounds", settings.rounds, "Rounds; their median counts")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--shared-buffers", settings.shared_buffers, "Buffers from Communicator::allocate");
  app.add_option("--json", settings.json, "Also write the table to FILE")->type_name("FILE");
  app.footer(footer);
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
    return run_on_ranks(settings, argv, [&](Communicator& comm) { return run(comm, chosen, settings); });
  } catch (const Error& error) {
    fmt::print(stderr, "tutti-bench: {}\n", error.what());
    return 1;
  }
}
