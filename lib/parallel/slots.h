// A few pieces of memory in which buckets are reduced, one after another.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "parallel/flat.h"

namespace tutti::parallel {

class Bucket;

class Slots {
 public:
  explicit Slots(Communicator& comm) : comm_(comm) {}

  // The next one, once the bucket that used it is done: as a tensor [count].
  Tensor take(Bucket& user, const TensorOptions& options, std::int64_t count);
  // `bytes` is what a bucket needs.
  void reserve(std::size_t bytes, Device device);
  std::size_t bytes() const;

 private:
  struct Slot {
    Tensor memory;  // u8
    Bucket* user = nullptr;
  };

  struct Pair {
    Device device;
    std::array<Slot, 2> slots{};  // one is reduced while the other is filled
    std::size_t next = 0;
  };

  Pair& on(Device device);

  Communicator& comm_;
  std::vector<Pair> devices_;
};

}  // namespace tutti::parallel
