// What a rank says about the collective that it enters.
#pragma once

#include <cstdint>
#include <string>

#include "tutti/comm/backend.h"

namespace tutti::comm {

// Plain data: it lies in shared memory, and goes through MPI. Equal on every rank, but for `direct`.
struct Signature {
  static constexpr std::uint8_t no_op = 0xff;

  std::uint64_t name;  // of the collective: its first eight characters
  std::uint64_t count;
  std::uint32_t sequence;  // its lower half
  std::int32_t root;       // -1 where there is none
  DType dtype;
  std::uint8_t op;
  ReduceOrder order;
  bool direct;           // whether this rank's buffers lie where every rank reads and writes
  std::uint32_t pieces;  // of the collective, of which this is one; 0 for all of it

  bool matches(const Signature& other) const {
    return name == other.name && count == other.count && sequence == other.sequence && root == other.root &&
           dtype == other.dtype && op == other.op && (op == no_op || order == other.order) &&
           pieces == other.pieces;
  }
  // "all_reduce(f32[10], sum)"
  std::string str() const;
};

Signature make_signature(const Backend::Call& call, std::uint64_t count, DType dtype);

}  // namespace tutti::comm
