// A random mix of collectives, in the midst of which one rank kills or stops itself: losses kill|stop SEED MARK. The others
// print whom they hold responsible, and for how long they waited.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "tests/comm/mix.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"

using namespace tutti;
using namespace std::chrono_literals;

int main(int argc, char** argv) {
  ::signal(SIGTERM,
           SIG_IGN);  // mpirun's first word to the survivors; what they have to say takes a little longer
  World world(argc, argv);
  const auto seed = static_cast<std::uint32_t>(std::atoi(argv[2]));
  const bool stop = std::string_view(argv[1]) == "stop";
  std::mt19937 random(seed);
  const int victim = static_cast<int>(random() % static_cast<std::uint32_t>(world.size()));
  const std::chrono::microseconds delay(random() % 30'000);
  try {
    test::Mix mix(world, seed);
    mix.step();
    world.barrier();
    world.set_timeout(stop ? 500ms : 10s);
    if (world.rank() == victim) {
      std::thread([=] {
        std::this_thread::sleep_for(delay);
        ::raise(stop ? SIGSTOP : SIGKILL);
      }).detach();
    }
    while (true) mix.step();
  } catch (const CommError& error) {
    // MPI may be at work for all ranks when it is lost: then it cannot be named.
    const char* who = error.rank() == victim ? "named" : error.rank() < 0 ? "named none" : "blamed another";
    fmt::print("{}: {}\n", who, error.what());
  } catch (const std::logic_error& error) {
    fmt::print("wrong: {}\n", error.what());
  }
  std::fflush(stdout);
  ::_exit(3);  // ends the job
}
