// Memory of a communicator that is used again and again.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "tutti/comm/communicator.h"

namespace tutti::parallel {

class MemoryPool {
 public:
  explicit MemoryPool(Communicator& comm) : comm_(comm) {}

  // `bytes` of it or more, until the last pointer is gone. Ranks that take and give back the same in the same order get
  // corresponding pieces.
  std::shared_ptr<void> take(std::size_t bytes, Device device);
  std::size_t pieces() const { return pieces_.size(); }
  // Gives back what is not in use, but for the oldest `pieces` pieces.
  void shrink(std::size_t pieces);
  // In all, whether in use or not.
  std::size_t bytes() const;

 private:
  struct Piece {
    std::shared_ptr<void> memory;
    std::size_t bytes;
    Device device;
  };

  Communicator& comm_;
  std::vector<Piece> pieces_;
};

}  // namespace tutti::parallel
