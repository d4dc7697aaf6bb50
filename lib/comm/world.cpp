#include "tutti/comm/world.h"

#include <cstdlib>
#include <optional>

#include "comm/launcher.h"
#include "comm/mpi.h"
#include "comm/self/self.h"
#include "comm/shm/shm.h"

namespace tutti {

struct World::Place {
  std::unique_ptr<comm::Backend> backend;
  int local_rank = 0;
  int local_size = 1;
  std::optional<std::chrono::milliseconds> timeout{};

  static Place find(int* argc, char*** argv);
};

World::Place World::Place::find(int* argc, char*** argv) {
  const auto launch =
      comm::find_launch([](const char* name) { return std::getenv(name); }, comm::mpi_running());
  if (launch.backend == "mpi") {
    auto mpi = comm::make_mpi_world(launch, argc, argv);
    return {std::move(mpi.backend), mpi.local_rank, mpi.local_size, launch.timeout};
  }
  if (launch.backend == "shm") {
    const auto timeout = launch.timeout.value_or(std::chrono::minutes(5));
    return {comm::make_shm_backend(launch.job, launch.rank, launch.size, timeout), launch.local_rank,
            launch.local_size, launch.timeout};
  }
  return {comm::make_self_backend(), 0, 1, launch.timeout};
}

World::World(Place place)
    : Communicator(std::move(place.backend)), local_rank_(place.local_rank), local_size_(place.local_size) {
  if (place.timeout) set_timeout(*place.timeout);
}

World::World(int& argc, char**& argv) : World(Place::find(&argc, &argv)) {}
World::World() : World(Place::find(nullptr, nullptr)) {}
World::~World() = default;

}  // namespace tutti
