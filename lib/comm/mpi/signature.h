// What the ranks of a collective must agree on.
#pragma once

#include <cstdint>
#include <string>

#include "tutti/core/dtype.h"
#include "tutti/core/reduce_op.h"

namespace tutti::comm {

struct MpiSignature {
  std::uint64_t count = 0;
  std::int32_t root = -1;  // -1: none
  std::uint8_t op = no_op;
  std::uint8_t dtype = 0;
  char name[18]{};

  static constexpr std::uint8_t no_op = 255;

  static MpiSignature of(const char* name, std::uint64_t count, DType dtype);
  MpiSignature with(ReduceOp reduction) const;
  MpiSignature rooted(int rank) const;

  bool operator==(const MpiSignature& other) const;
  // "all_reduce(1024 x f32, sum)"
  std::string str() const;
};

static_assert(sizeof(MpiSignature) == 32);

}  // namespace tutti::comm
