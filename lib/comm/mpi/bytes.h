// Buffers as the blocks that travel, and signatures of what goes with them.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

#include "comm/shared/signature.h"
#include "tutti/core/buffer_view.h"

namespace tutti::comm {

using Bytes = std::span<std::byte>;
using ConstBytes = std::span<const std::byte>;

// Block `index` of a buffer that is made of blocks of `bytes` bytes.
inline ConstBytes block(ConstBufferView view, std::size_t bytes, int index) {
  return {static_cast<const std::byte*>(view.data) + bytes * static_cast<std::size_t>(index), bytes};
}
inline Bytes block(BufferView view, std::size_t bytes, int index) {
  return {static_cast<std::byte*>(view.data) + bytes * static_cast<std::size_t>(index), bytes};
}

inline void copy(Bytes to, ConstBytes from) {
  if (to.data() != from.data() && !to.empty()) std::memcpy(to.data(), from.data(), to.size());
}

inline Signature reducing(const Backend::Call& call, BufferView out, ReduceOp op) {
  Signature signature = make_signature(call, out.count, out.dtype);
  signature.op = static_cast<std::uint8_t>(op);
  return signature;
}

inline Signature rooted(const Backend::Call& call, ConstBufferView buffer, int root) {
  Signature signature = make_signature(call, buffer.count, buffer.dtype);
  signature.root = root;
  return signature;
}

}  // namespace tutti::comm
