// What every loader needs: its share of a batch, and its state as tensors.
#pragma once

#include <cstdint>

#include "tutti/comm/communicator.h"
#include "tutti/tensor/named_tensor.h"

namespace tutti::data {

// A rank's windows or images of a batch: [first, first + count).
struct Share {
  std::int64_t first;
  std::int64_t count;
};

// Throws ConfigError, its message beginning with `what`, when `batch` is not positive or does not divide by
// `ranks`.
Share share_of(const char* what, std::int64_t batch, std::int64_t rank, std::int64_t ranks);

// An i64 scalar with the bits of `value`, and back.
NamedTensor named_number(const char* name, std::uint64_t value);
std::uint64_t number_in(const NamedTensor& named);

}  // namespace tutti::data
