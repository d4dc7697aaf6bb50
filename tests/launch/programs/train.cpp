// One run of tests/parallel/workload.h on the ranks of a launcher:
//   train MODEL SHARDING STEPS [CHECKPOINTS]
// Rank 0 prints what came of it.
#include <fmt/format.h>

#include <string>

#include "tests/parallel/workload.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"

int main(int argc, char** argv) {
  try {
    tutti::World world(argc, argv);
    tutti::test::Workload workload;
    workload.model = argv[1];
    workload.shard = tutti::test::shard_of(argv[2]);
    workload.steps = std::stoi(argv[3]);
    if (argc > 4) workload.checkpoints = argv[4];
    const std::string result = tutti::test::run(workload, world);
    if (world.rank() != 0) return 0;
    fmt::print("{}\n", result);
    fmt::print(stderr, "{} ranks over {}\n", world.size(), world.backend());
  } catch (const tutti::Error& error) {
    fmt::print(stderr, "train: {}\n", error.what());
    return 1;
  }
}
