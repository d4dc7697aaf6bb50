// saver RUN LOG [without-fsync]: saves one step after the other on two ranks and appends the number of each that was
// acknowledged to LOG, until it is killed. saver RUN: verifies every checkpoint, restores, and prints the number of steps.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "tests/faults/interpose.h"
#include "tests/faults/run.h"
#include "tests/support/ranks.h"
#include "tutti/checkpoint/checkpoint.h"

namespace {

using namespace tutti;

void save_for_ever(const std::string& run, const std::string& log) {
  const int told = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  test::on_ranks(2, [&](Communicator& world) {
    test::SmallRun small(run, world, 2);
    for (auto step = small.restore();; ++step) {
      small.save(step);
      const auto line = fmt::format("{}\n", step + 1);
      if (world.rank() == 0 && ::write(told, line.data(), line.size()) < 0)
        throw std::runtime_error("the log");
    }
  });
}

// Every checkpoint there is, and not the newest alone, has to be whole.
void print_steps(const std::string& run) {
  for (const auto& path : Checkpoint::list(run)) {
    for (const auto& damage : Checkpoint(path).verify()) throw std::runtime_error(damage.message);
  }
  test::on_ranks(2, [&](Communicator& world) {
    const auto steps = test::SmallRun(run, world, 2).restore();
    if (steps < 0) throw std::runtime_error("what was loaded is not of one step");
    if (world.rank() == 0) fmt::print("{}\n", steps);
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 4) test::set_sync(false);
    if (argc >= 3) save_for_ever(argv[1], argv[2]);
    if (argc == 2) print_steps(argv[1]);
    return argc >= 2 ? 0 : 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "saver: {}\n", error.what());
    return 1;
  }
}
