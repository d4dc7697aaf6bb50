// What a rank says about the collective that it enters.
#pragma once

#include <cstdint>
#include <string>

#include "tutti/comm/backend.h"

namespace tutti::comm {

// Plain data: it lies in a segment. Equal on every rank, but for the last three members.
struct Signature {
  static constexpr std::uint8_t no_op = 0xff;

  char name[16];
  std::uint64_t sequence;
  std::uint64_t count;
  std::int32_t root;  // -1 where there is none
  DType dtype;
  std::uint8_t op;
  ReduceOrder order;  // of a reduction

  // Whether both buffers lie where every rank reads and writes, and the places there.
  bool direct;
  std::uint64_t in;
  std::uint64_t out;

  bool matches(const Signature& other) const;
  // "all_reduce(f32[10], sum)"
  std::string str() const;
};

Signature make_signature(const Backend::Call& call, std::uint64_t count, DType dtype);

}  // namespace tutti::comm
