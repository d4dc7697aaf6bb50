#include "comm/threads/threads.h"
#include "core/share_of_threads.h"
#include "tutti/comm/world.h"

namespace tutti {

std::vector<Communicator> World::threads(int size) {
  std::vector<Communicator> ranks;
  for (auto& backend : comm::make_threads_backends(size)) ranks.emplace_back(std::move(backend));
  share_process(size);
  return ranks;
}

}  // namespace tutti
