#include "launch/environment.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string_view>

#include "core/share_of_threads.h"

namespace tutti::launch {
std::string make_job() {
  std::random_device random;
  return fmt::format("{}-{:08x}{:08x}{:08x}", getpid(), random(), random(), random());
}

std::vector<std::string> rank_environment(int rank, int ranks, const std::string& job) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry;
    const bool ours = text.starts_with("TUTTI_RANK=") || text.starts_with("TUTTI_WORLD_SIZE=") ||
                      text.starts_with("TUTTI_LOCAL_RANK=") || text.starts_with("TUTTI_LOCAL_SIZE=") ||
                      text.starts_with("TUTTI_JOB=");
    if (!ours) result.emplace_back(text);
  }
  result.push_back(fmt::format("TUTTI_RANK={}", rank));
  result.push_back(fmt::format("TUTTI_WORLD_SIZE={}", ranks));
  result.push_back(fmt::format("TUTTI_LOCAL_RANK={}", rank));
  result.push_back(fmt::format("TUTTI_LOCAL_SIZE={}", ranks));
  result.push_back(fmt::format("TUTTI_JOB={}", job));
  // N ranks that each start a thread a core would slow each other down.
  const auto unless_set = [&](const char* name, int threads) {
    if (!std::getenv(name)) result.push_back(fmt::format("{}={}", name, threads));
  };
  const int share = std::max(1, usable_cores() / ranks);
  unless_set("TUTTI_THREADS", share);
  unless_set("OMP_NUM_THREADS", share);
  unless_set("OPENBLAS_NUM_THREADS", 1);
  return result;
}

}  // namespace tutti::launch
