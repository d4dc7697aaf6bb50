#include "benchmarks/tuned_runs.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "benchmarks/ranks.h"
#include "benchmarks/temporary.h"
#include "launch/process.h"
#include "tutti/core/error.h"

namespace tutti::bench {
namespace {

constexpr auto tuning_variable = "TUTTI_BENCH_TUNING";
constexpr auto file_variable = "TUTTI_BENCH_FILE";

std::vector<std::string> environment_of(const Tuning& tuning, const Settings& settings,
                                        const std::string& file) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : tuning.environment) variables[name] = value;
  variables[started_variable] = "1";
  variables["TUTTI_BACKEND"] = settings.backend;
  variables[tuning_variable] = tuning.name;
  variables[file_variable] = file;
  std::vector<std::string> result;
  for (const auto& [name, value] : variables) result.push_back(fmt::format("{}={}", name, value));
  return result;
}

// Each rank on a core of its own while there are enough.
std::vector<std::string> command(const Settings& settings, char** argv) {
  std::vector<std::string> result{"mpirun", "-n", std::to_string(settings.ranks), "--bind-to"};
  if (static_cast<unsigned>(settings.ranks) <= std::thread::hardware_concurrency()) {
    result.emplace_back("core");
  } else {
    result.insert(result.end(), {"none", "--oversubscribe"});
  }
  for (auto& argument : self(argv)) result.push_back(std::move(argument));
  return result;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::vector<nlohmann::json> run_tunings(const std::vector<Tuning>& tunings, const Settings& settings,
                                        char** argv) {
  const TemporaryDirectory directory;
  std::vector<nlohmann::json> documents;
  for (std::size_t i = 0; i < tunings.size(); ++i) {
    const auto& tuning = tunings[i];
    fmt::print(stderr, "tutti-bench: MPI setting {} of {}: {}\n", i + 1, tunings.size(), tuning.name);
    const auto file = directory.path() / fmt::format("{}.json", i);
    launch::Spawn spawn{.command = command(settings, argv),
                        .environment = environment_of(tuning, settings, file.string()),
                        .own_group = false};
    int code = 0;
    try {
      code = wait_for(launch::spawn(spawn));
    } catch (const std::system_error& error) {
      throw ConfigError(fmt::format("cannot run mpirun: {}", error.code().message()));
    }
    if (std::ifstream stream(file); stream) {
      documents.push_back(nlohmann::json::parse(stream));
    } else {
      fmt::print(stderr, "tutti-bench: {} does not work here (exit code {}) and is left out\n", tuning.name,
                 code);
    }
  }
  if (documents.empty()) throw ConfigError("--vs mpi: no setting of MPI works here");
  return documents;
}

std::optional<TunedRun> tuned_run() {
  const char* const tuning = std::getenv(tuning_variable);
  const char* const file = std::getenv(file_variable);
  if (!tuning || !file) return {};
  return TunedRun{tuning, file};
}

}  // namespace tutti::bench
