#include "parallel/divergence.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "tutti/core/error.h"
#include "tutti/tensor/fingerprint.h"

namespace tutti::parallel {

void check_divergence(const NamedTensors& tensors, const NamedGenerators& generators, std::int64_t step,
                      Communicator& comm) {
  std::vector<std::string> names;
  std::vector<std::int64_t> mine;
  const auto prints = fingerprints(tensors);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    names.push_back(tensors[i].name);
    mine.push_back(static_cast<std::int64_t>(prints[i]));
  }
  // Their streams are those of the ranks' logical ranks.
  for (const auto& [name, generator] : generators) {
    names.push_back("the random numbers of " + name);
    mine.push_back(static_cast<std::int64_t>(generator.state().seed ^ generator.state().position));
  }
  std::vector<std::int64_t> all(mine.size() * static_cast<std::size_t>(comm.size()));
  comm.all_gather(mine, all);
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::vector<int> ranks;
    for (int rank = 1; rank < comm.size(); ++rank) {
      if (all[static_cast<std::size_t>(rank) * mine.size() + i] != all[i]) ranks.push_back(rank);
    }
    if (ranks.empty()) continue;
    throw DataError(fmt::format("data parallel: after step {}, {} differs from rank 0's on rank{} {}", step,
                                names[i], ranks.size() == 1 ? "" : "s", fmt::join(ranks, ", ")));
  }
}

}  // namespace tutti::parallel
