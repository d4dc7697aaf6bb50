// The hello world of collectives. Each rank brings a vector, and all of them get the sum.
//
//   allreduce                         # one rank
//   tutti-run -n 4 allreduce          # four processes over shared memory
//   mpirun -n 4 allreduce             # four processes over MPI
#include <fmt/format.h>
#include <tutti/comm/world.h>
#include <tutti/core/error.h>

#include <CLI/CLI.hpp>
#include <vector>

int main(int argc, char** argv) {
  CLI::App app("Sums a vector over all ranks: alone, under tutti-run -n N, or under mpirun -n N");
  std::size_t count = 1000;
  app.add_option("--count", count, "Elements of the vector")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    tutti::World world(argc, argv);

    // Rank r brings r + 1 in every element, so that N ranks sum up to 1 + 2 + ... + N.
    std::vector<float> values(count, static_cast<float>(world.rank() + 1));
    world.all_reduce(values);
    fmt::print("rank {} of {} ({}): the sum is {}\n", world.rank(), world.size(), world.backend(),
               values.front());

    // Each rank brings one number; rank 0 shows them all.
    std::vector<int> squares(static_cast<std::size_t>(world.size()));
    world.all_gather(std::vector<int>{world.rank() * world.rank()}, squares);
    if (world.rank() == 0) fmt::print("all ranks together: {}\n", fmt::join(squares, " "));
  } catch (const tutti::Error& error) {
    fmt::print(stderr, "allreduce: {}\n", error.what());
    return 1;
  }
}
