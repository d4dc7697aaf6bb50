#include "tutti/comm/backend.h"

#include "kernels/memory.h"

namespace tutti::comm {

std::shared_ptr<void> Backend::allocate(std::size_t bytes) {
  return {kernels::launch<kernels::Allocate>(Device::cpu(), bytes), kernels::Free::cpu};
}

}  // namespace tutti::comm
