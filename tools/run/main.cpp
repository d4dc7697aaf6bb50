// tutti-run: starts the ranks of a program on this machine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "launch/launch.h"
#include "tutti/core/version.h"

namespace {

constexpr auto description = R"(Starts N ranks of a program on this machine and ends with them.

Rank 0's output appears as it is, so that its progress bar works; lines of the others begin with "[rank] ".
Standard input goes to rank 0. SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 are passed on to every rank.
When a rank fails, the others get SIGTERM, and SIGKILL after the grace time.)";

constexpr auto footer = R"(
Exit code: 0, or that of the rank that failed first (128 + signal if it was killed); 127 if there is no such
program, 2 for wrong usage.

Each rank gets TUTTI_RANK, TUTTI_WORLD_SIZE, TUTTI_LOCAL_RANK, TUTTI_LOCAL_SIZE and TUTTI_JOB, and
TUTTI_THREADS and OMP_NUM_THREADS = cores / N and OPENBLAS_NUM_THREADS = 1 where these are not set.

Example: tutti-run -n 4 ./train --steps 100)";

class Formatter : public CLI::Formatter {
  std::string make_usage(const CLI::App*, std::string) const override {
    return "\nUsage: tutti-run -n N [options] program [args...]\n";
  }
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(description, "tutti-run");
  app.formatter(std::make_shared<Formatter>());
  app.footer(footer);
  app.prefix_command();
  app.set_version_flag("--version", std::string("tutti-run ") + tutti::version());

  tutti::launch::Options options;
  std::string output;
  double grace = 5;
  bool tag = false;
  app.add_option("-n,--ranks", options.ranks, "Number of ranks")->check(CLI::Range(1, 4096))->required();
  auto* tag_flag = app.add_flag("--tag,!--no-tag", tag, "Prefix the lines of every rank, or of none");
  app.add_option("--output", output, "Write rank-<r>.log into DIR instead")->type_name("DIR");
  app.add_option("--grace", grace, "Time from SIGTERM to SIGKILL")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
    options.command = app.remaining();
    if (!options.command.empty() && options.command.front() == "--")
      options.command.erase(options.command.begin());
    if (options.command.empty()) throw CLI::RequiredError("A program to run");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (*tag_flag) options.tag = tag ? tutti::launch::Tag::all : tutti::launch::Tag::none;
  if (!output.empty()) options.output = output;
  options.grace = std::chrono::milliseconds(static_cast<std::int64_t>(grace * 1000));
  return tutti::launch::run(options);
}
