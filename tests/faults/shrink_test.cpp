// A rank dies in a save, and those that are left go on without it.
#include <gmock/gmock.h>

#include "tests/comm/processes.h"
#include "tests/faults/interpose.h"
#include "tests/faults/run.h"
#include "tests/support/files.h"
#include "tutti/core/logging.h"

namespace tutti::test {
namespace {

using test::Processes;

// What the saver of the world that broke left in the middle is not in the way.
TEST(Shrink, Fault70_TheRanksThatAreLeftSaveAndRestore) {
  for (int victim = 0; victim < 3; ++victim) {
    for (int at : {1, 4, 8}) {
      if (victim == 0) at *= 4;  // which has more to do
      SCOPED_TRACE(::testing::Message() << "rank " << victim << ", call " << at);
      const TemporaryDirectory directory;
      const auto run = directory / "run";
      Processes processes(3, [&](Communicator& world) -> std::string {
        logging::set_sink([](logging::Level, std::string_view) {});
        world.set_timeout(std::chrono::seconds(20));
        {
          SmallRun small(run, world, 2);
          small.save(0);
          world.barrier();
          if (world.rank() == victim) arm(Fault::kill, at);
          try {
            small.save(1);
            return "nobody died";
          } catch (const CommError&) {
          } catch (const CheckpointError&) {  // rank 0 met it while it cleaned up
          }
        }
        Communicator left = world.shrink();
        SmallRun small(run, left, 2);
        const auto steps = small.restore();
        small.save(steps);
        return std::to_string(left.size()) + " ranks, " + std::to_string(small.restore() - steps) + " more";
      });
      for (int rank = 0; rank < 3; ++rank) {
        if (rank != victim) {
          EXPECT_EQ(processes.report(rank), "2 ranks, 1 more");
        }
      }
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace tutti::test
