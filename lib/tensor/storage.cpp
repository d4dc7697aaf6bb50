#include "tutti/tensor/storage.h"

#include <utility>

#include "kernels/memory.h"
#include "tutti/core/error.h"

namespace tutti {

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes, Device device) {
  return std::make_shared<Storage>(kernels::launch<kernels::Allocate>(device, bytes), bytes, device, nullptr,
                                   true);
}

std::shared_ptr<Storage> Storage::external(void* data, std::size_t bytes, Device device,
                                           std::shared_ptr<void> owner) {
  return std::make_shared<Storage>(data, bytes, device, std::move(owner), false);
}

Storage::Storage(void* data, std::size_t bytes, Device device, std::shared_ptr<void> owner, bool owned)
    : data_(data), bytes_(bytes), device_(device), owner_(std::move(owner)), owned_(owned) {}

void Storage::set_memory(void* data, std::shared_ptr<void> owner) {
  if (owned_) throw DeviceError("set_memory: only a storage on external memory can be given other memory");
  data_ = data;
  owner_ = std::move(owner);
}

Storage::~Storage() {
  if (owned_) kernels::launch<kernels::Free>(device_, data_);
}

}  // namespace tutti
