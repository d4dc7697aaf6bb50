// Where tensors are read to before they are put into a state.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "checkpoint/disk_file.h"
#include "tutti/tensor/tensor.h"

namespace tutti::checkpoint {

// Memory that was touched before, as far as it goes, and fresh memory for the rest: the first touch costs more than the read.
class Landing {
 public:
  // Bytes that a tensor like this one takes.
  static std::size_t room_for(const Tensor& like);
  // For tensors that take `bytes` bytes together. `touched` may be null.
  Landing(std::shared_ptr<Pages> touched, std::size_t bytes) : touched_{std::move(touched)}, left_(bytes) {}

  // Not initialized. It keeps the memory that it is in. Throws std::bad_alloc.
  Tensor take(const Shape& shape, DType dtype);

 private:
  struct Area {
    std::shared_ptr<Pages> pages;
    std::size_t used = 0;  // bytes
  };
  static bool fits(const Area& area, std::size_t bytes);

  Area touched_, fresh_{};
  std::size_t left_;  // bytes that are still to be taken
};

}  // namespace tutti::checkpoint
