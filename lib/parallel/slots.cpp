#include "parallel/slots.h"

#include "parallel/bucket.h"

namespace tutti::parallel {

void Slots::reserve(std::size_t bytes) {
  for (auto& slot : slots_) {
    if (slot.memory.defined() && static_cast<std::size_t>(slot.memory.numel()) >= bytes) continue;
    slot.memory = shared_flat(comm_, DType::u8, static_cast<std::int64_t>(bytes));
  }
}

std::size_t Slots::bytes() const {
  std::size_t sum = 0;
  for (const auto& slot : slots_) sum += slot.memory.defined() ? slot.memory.storage()->bytes() : 0;
  return sum;
}

Tensor Slots::take(Bucket& user, DType dtype, std::int64_t count) {
  Slot& slot = slots_[next_++ % slots_.size()];
  if (slot.user) slot.user->finish();
  slot.user = &user;
  return Tensor(slot.memory.storage(), dtype, {count}, {1}, 0);
}

}  // namespace tutti::parallel
