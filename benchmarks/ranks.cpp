#include "benchmarks/ranks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>
#include <thread>

#include "launch/launch.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"

namespace tutti::bench {
namespace {

int run_on_threads(int ranks, const std::function<int(Communicator&)>& body) {
  auto world = World::threads(ranks);
  std::vector<int> codes(world.size());
  std::vector<std::exception_ptr> errors(world.size());
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < world.size(); ++rank) {
    threads.emplace_back([&, rank] {
      try {
        codes[rank] = body(world[rank]);
      } catch (const std::exception& error) {
        errors[rank] = std::current_exception();
        world[rank].abort(error.what());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return *std::max_element(codes.begin(), codes.end());
}

[[noreturn]] void become_mpirun(int ranks, char** argv) {
  // More ranks than cores are welcome; Open MPI 4 and 5 name it differently, and other MPIs allow it anyway.
  setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 0);
  setenv("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe", 0);
  std::vector<std::string> command{"mpirun", "-n", std::to_string(ranks)};
  for (auto& argument : self(argv)) command.push_back(std::move(argument));
  std::vector<char*> pointers;
  for (auto& argument : command) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  execvp("mpirun", pointers.data());
  throw ConfigError(fmt::format("cannot run mpirun: {}", std::strerror(errno)));
}

}  // namespace

bool under_launcher() {
  const auto names = {started_variable, "TUTTI_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"};
  return std::any_of(names.begin(), names.end(), [](const char* name) { return std::getenv(name); });
}

std::vector<std::string> self(char** argv) {
  std::vector<std::string> command{std::filesystem::read_symlink("/proc/self/exe")};
  for (++argv; *argv; ++argv) command.emplace_back(*argv);
  return command;
}

int run_on_ranks(const Settings& settings, char** argv, const std::function<int(Communicator&)>& body) {
  if (under_launcher()) {
    World world;
    return body(world);
  }
  if (settings.backend == "threads") return run_on_threads(settings.ranks, body);
  setenv(started_variable, "1", 1);
  setenv("TUTTI_BACKEND", settings.backend.c_str(), 1);
  if (settings.backend == "mpi") become_mpirun(settings.ranks, argv);
  launch::Options options;
  options.name = "tutti-bench";
  options.ranks = settings.ranks;
  options.command = self(argv);
  return launch::run(options);
}

}  // namespace tutti::bench
