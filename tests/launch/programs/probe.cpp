// One rank of a run, which does what its argument says, and tells on standard output what came of it.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tutti/autograd/matmul.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"
#include "tutti/core/threads.h"
#include "tutti/tensor/random.h"

namespace {

using tutti::World;

void say(const World& world, const std::string& what) {
  fmt::print("{}: {}\n", world.rank(), what);
  std::fflush(stdout);
}

void place(World& world, int) {
  std::vector<float> sum(1000, static_cast<float>(world.rank() + 1));
  world.all_reduce(sum);
  say(world, fmt::format("of {}, local {} of {}, {}, sum {}", world.size(), world.local_rank(),
                         world.local_size(), world.backend(), sum.back()));
}

// `culprit` never comes.
void absent(World& world, int culprit) {
  if (world.rank() == culprit) {
    sleep(6);
  } else {
    world.barrier();
  }
}

void die(World& world, int culprit) {
  world.barrier();
  if (world.rank() == culprit) raise(SIGKILL);
  world.barrier();
}

void leave(World& world, int culprit) {
  world.barrier();
  if (world.rank() == culprit) _exit(0);
  world.barrier();
}

void abort(World& world, int culprit) {
  world.barrier();
  if (world.rank() == culprit) {
    world.abort("out of paper");
    sleep(1);
  } else {
    world.barrier();
  }
}

// A thread of `culprit` gives up on a barrier to which the others do not come.
void watchdog(World& world, int culprit) {
  world.barrier();
  if (world.rank() != culprit) {
    sleep(3);
    return;
  }
  std::thread thread([&] {
    usleep(100'000);
    world.abort("enough");
  });
  const std::shared_ptr<void> join(nullptr, [&](void*) { thread.join(); });
  world.barrier();
}

void mismatch(World& world, int culprit) {
  std::vector<float> data(world.rank() == culprit ? 10u : 20u);
  world.all_reduce(data);
}

void split(World& world, int) {
  auto half = world.split(world.rank() % 2 ? -7 : 7, -world.rank());
  std::vector<int> ranks(static_cast<std::size_t>(half.size()));
  half.all_gather(std::vector<int>{world.rank()}, ranks);
  say(world, fmt::format("{} of {}: {}", half.rank(), half.size(), fmt::join(ranks, " ")));
}

// The bits of matrix products, as one number.
void product(World& world, int) {
  std::uint64_t hash = 0;
  for (const std::int64_t n : {31, 106, 193, 400}) {
    for (const auto dtype : {tutti::DType::f32, tutti::DType::f64}) {
      tutti::Generator generator(1);
      const auto a = tutti::randn({n + 39, 3 * n / 2}, generator, 0, 1, {.dtype = dtype});
      const auto b = tutti::randn({3 * n / 2, n}, generator, 0, 1, {.dtype = dtype});
      const auto c = tutti::matmul(a, b);
      const auto* bytes = static_cast<const unsigned char*>(c.raw_data());
      for (std::size_t i = 0; i < static_cast<std::size_t>(c.numel()) * size_of(dtype); ++i) {
        hash = (hash ^ bytes[i]) * 0x100000001b3;
      }
    }
  }
  say(world, fmt::format("{:x}", hash));
}

void logical(World& world, int) {
  const auto ranks = world.logical_ranks();
  say(world, fmt::format("{} from {} of {}", ranks.local_count(), ranks.first(), ranks.count()));
}

}  // namespace

int main(int argc, char** argv) {
  // The launcher ends the others when one rank dies; these tests want to hear what the others have to say.
  signal(SIGTERM, SIG_IGN);
  const std::string what = argc > 1 ? argv[1] : "place";
  const int culprit = argc > 2 ? std::atoi(argv[2]) : 0;
  try {
    World world(argc, argv, {.logical_ranks = what == "logical" ? culprit : 0});
    try {
      if (what == "place") place(world, culprit);
      if (what == "absent") absent(world, culprit);
      if (what == "die") die(world, culprit);
      if (what == "leave") leave(world, culprit);
      if (what == "abort") abort(world, culprit);
      if (what == "watchdog") watchdog(world, culprit);
      if (what == "mismatch") mismatch(world, culprit);
      if (what == "split") split(world, culprit);
      if (what == "product") product(world, culprit);
      if (what == "logical") logical(world, culprit);
      if (what == "threads") say(world, std::to_string(tutti::num_threads()));
    } catch (const tutti::TimeoutError& error) {
      say(world, fmt::format("TimeoutError for rank {}: {}", error.rank(), error.what()));
      return 5;
    } catch (const tutti::CommError& error) {
      say(world, fmt::format("CommError for rank {}: {}", error.rank(), error.what()));
      return 5;
    }
  } catch (const tutti::Error& error) {
    fmt::print("{}\n", error.what());
    return 6;
  }
}
