// The conformance suite on the ranks of a launcher.
#include <fmt/format.h>

#include "tests/comm/conformance.h"
#include "tutti/comm/world.h"

int main(int argc, char** argv) {
  tutti::World world(argc, argv);
  const auto wrong = tutti::test::run_conformance(world);
  for (const auto& line : wrong) fmt::print("rank {}: {}\n", world.rank(), line);
  if (world.rank() == 0) fmt::print("{} ranks over {}\n", world.size(), world.backend());
  return wrong.empty() ? 0 : 1;
}
