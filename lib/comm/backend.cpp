#include "tutti/comm/backend.h"

#include <fmt/format.h>

#include "kernels/memory.h"
#include "tutti/core/error.h"

namespace tutti::comm {

std::unique_ptr<Backend> Backend::shrink(const Call& call) {
  throw CommError(
      fmt::format("{} #{}: the back end {} cannot go on without a rank", call.name, call.sequence, name()),
      call.name, call.sequence, -1);
}

std::shared_ptr<void> Backend::allocate(std::size_t bytes) {
  return {kernels::launch<kernels::Allocate>(Device::cpu(), bytes),
          [bytes](void* data) { kernels::Free::cpu(data, bytes); }};
}

std::shared_ptr<void> Backend::allocate_on(Device gpu, std::size_t) {
  throw DeviceError(fmt::format("allocate: the back end {} has no memory on {}", name(), gpu.str()));
}

}  // namespace tutti::comm
