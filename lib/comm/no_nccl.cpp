#include "comm/nccl.h"
#include "tutti/core/error.h"

namespace tutti::comm {

NcclWorld make_nccl_world(std::unique_ptr<Backend>, int, std::chrono::milliseconds) {
  throw ConfigError("World: TUTTI_BACKEND=nccl, but this Tutti was built without NCCL: " TUTTI_NO_NCCL);
}

}  // namespace tutti::comm
