#include "tutti/tensor/storage.h"

#include <utility>

#include "core/memory_account.h"
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
    : data_(data), bytes_(bytes), device_(device), owner_(std::move(owner)), owned_(owned), counted_(owned) {
  if (counted_) memory::add(device_, category_, bytes_);
}

void Storage::set_category(memory::Category category) {
  if (counted_ && data_) memory::remove(device_, category_, bytes_);
  category_ = category;
  counted_ = true;
  if (data_) memory::add(device_, category_, bytes_);
}

void Storage::set_memory(void* data, std::shared_ptr<void> owner) {
  if (owned_) throw DeviceError("set_memory: only a storage on external memory can be given other memory");
  if (counted_ && data_) memory::remove(device_, category_, bytes_);
  if (counted_ && data) memory::add(device_, category_, bytes_);
  data_ = data;
  owner_ = std::move(owner);
}

Storage::~Storage() {
  if (counted_ && data_) memory::remove(device_, category_, bytes_);
  if (owned_) kernels::launch<kernels::Free>(device_, data_, bytes_);
}

}  // namespace tutti
