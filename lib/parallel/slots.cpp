#include "parallel/slots.h"

#include <algorithm>

#include "parallel/bucket.h"

namespace tutti::parallel {

Slots::Pair& Slots::on(Device device) {
  const auto found = std::ranges::find(devices_, device, &Pair::device);
  return found != devices_.end() ? *found : devices_.emplace_back(Pair{device});
}

void Slots::reserve(std::size_t bytes, Device device) {
  for (auto& slot : on(device).slots) {
    if (slot.memory.defined() && static_cast<std::size_t>(slot.memory.numel()) >= bytes) continue;
    slot.memory = shared_flat(comm_, {DType::u8, device}, static_cast<std::int64_t>(bytes));
  }
}

std::size_t Slots::bytes() const {
  std::size_t sum = 0;
  for (const auto& pair : devices_) {
    for (const auto& slot : pair.slots) sum += slot.memory.defined() ? slot.memory.storage()->bytes() : 0;
  }
  return sum;
}

Tensor Slots::take(Bucket& user, const TensorOptions& options, std::int64_t count) {
  Pair& pair = on(options.device);
  Slot& slot = pair.slots[pair.next++ % pair.slots.size()];
  if (slot.user) slot.user->finish();
  slot.user = &user;
  return Tensor(slot.memory.storage(), options.dtype, {count}, {1}, 0);
}

}  // namespace tutti::parallel
