#include "tutti/comm/world.h"

#include <fmt/format.h>

#include <cstdlib>
#include <optional>

#include "comm/launcher.h"
#include "comm/mpi.h"
#include "comm/nccl.h"
#include "comm/self/self.h"
#include "comm/shm/shm.h"
#include "core/share_of_threads.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

constexpr std::chrono::milliseconds patience = std::chrono::minutes(5);

}  // namespace

struct World::Place {
  std::unique_ptr<comm::Backend> backend;
  int local_rank = 0;
  int local_size = 1;
  std::optional<std::chrono::milliseconds> timeout{};
  Device device{};
  int logical_ranks = 0;

  static Place find(int* argc, char*** argv);
  static Place on_cpu(const comm::Launch& launch, int* argc, char*** argv);
};

World::Place World::Place::find(int* argc, char*** argv) {
  threads_of_environment();  // which may be wrong
  const auto launch =
      comm::find_launch([](const char* name) { return std::getenv(name); }, comm::mpi_running());
  Place place = on_cpu(launch, argc, argv);
  place.logical_ranks = launch.logical_ranks;
  if (launch.gpus) {
    auto nccl =
        comm::make_nccl_world(std::move(place.backend), place.local_rank, launch.timeout.value_or(patience));
    place.backend = std::move(nccl.backend);
    place.device = nccl.gpu;
  }
  return place;
}

World::Place World::Place::on_cpu(const comm::Launch& launch, int* argc, char*** argv) {
  if (launch.backend == "mpi") {
    auto mpi = comm::make_mpi_world(launch, argc, argv);
    share_cores(mpi.ranks_on_cores);
    return {std::move(mpi.backend), mpi.local_rank, mpi.local_size, launch.timeout};
  }
  if (launch.backend == "shm") {
    share_cores(launch.local_size);
    return {comm::make_shm_backend(launch.job, launch.rank, launch.size, launch.timeout.value_or(patience)),
            launch.local_rank, launch.local_size, launch.timeout};
  }
  share_cores(1);
  return {comm::make_self_backend(), 0, 1, launch.timeout};
}

World::World(Place place, const WorldOptions& options)
    : Communicator(std::move(place.backend)),
      local_rank_(place.local_rank),
      local_size_(place.local_size),
      device_(place.device) {
  if (place.timeout) set_timeout(*place.timeout);
  if (options.logical_ranks != 0) {
    set_logical_ranks(options.logical_ranks);
  } else if (place.logical_ranks != 0) {
    if (place.logical_ranks < size()) {
      throw ConfigError(fmt::format("World: TUTTI_LOGICAL_RANKS={}: must be at least the number of ranks, {}",
                                    place.logical_ranks, size()));
    }
    set_logical_ranks(place.logical_ranks);
  }
}

World::World(int& argc, char**& argv, const WorldOptions& options)
    : World(Place::find(&argc, &argv), options) {}
World::World(const WorldOptions& options) : World(Place::find(nullptr, nullptr), options) {}
World::~World() = default;

}  // namespace tutti
