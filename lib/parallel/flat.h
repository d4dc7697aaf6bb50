// Flat tensors, and their parts.
#pragma once

#include <cstdint>

#include "tutti/comm/communicator.h"
#include "tutti/tensor/tensor.h"

namespace tutti::parallel {

// `count` zeros in memory of `comm`.
Tensor shared_flat(Communicator& comm, const TensorOptions& options, std::int64_t count);
// As the elements of `like` are, and where they are.
inline Tensor shared_flat(Communicator& comm, const Tensor& like, std::int64_t count) {
  return shared_flat(comm, {like.dtype(), like.device()}, count);
}

// Elements [first, first + shape.numel()) of `flat`, unknown to the tape.
inline Tensor part_of(const Tensor& flat, std::int64_t first, const Shape& shape) {
  return flat.as_strided(shape, contiguous_strides(shape), flat.offset() + first);
}

}  // namespace tutti::parallel
