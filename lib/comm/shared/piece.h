// A part of a collective that goes through staging memory.
#pragma once

#include "comm/shared/backend.h"
#include "comm/shared/slice.h"

namespace tutti::comm {

// Elements [first, first + count) of each block. Block b stands `b * stride` bytes into the staging half.
struct SharedBackend::Piece {
  std::size_t first;
  std::size_t count;
  std::size_t element;
  std::size_t stride;
  bool small;  // the whole collective is this piece

  std::size_t offset() const { return first * element; }
  std::size_t bytes() const { return count * element; }
};

inline std::byte* SharedBackend::staged(int rank, const Piece& piece, int block) const {
  return group_.layout().staging(segment_->base(), rank, half_) +
         static_cast<std::size_t>(block) * piece.stride;
}

inline bool SharedBackend::everyone_direct() const {
  for (int rank = 0; rank < size(); ++rank) {
    if (!group_.announced(rank).direct) return false;
  }
  return true;
}

template <typename Direct, typename Fill, typename Drain>
void SharedBackend::run(const Call& call, Signature signature, ConstBufferView in, ConstBufferView out,
                        int blocks, Direct direct, Fill fill, Drain drain) {
  constexpr std::size_t small_bytes = 16 * 1024;

  const auto in_place = segment_->locate(in.data, in.bytes());
  const auto out_place = segment_->locate(out.data, out.bytes());
  signature.direct = in_place && out_place;
  signature.in = in_place.value_or(0);
  signature.out = out_place.value_or(0);

  const std::size_t element = size_of(signature.dtype);
  const std::size_t stride = Layout::half_bytes / static_cast<std::size_t>(blocks) / cache_line * cache_line;
  const std::size_t count = signature.count;
  if (count * element * static_cast<std::size_t>(blocks) <= small_bytes) {
    const Piece whole{0, count, element, stride, true};
    fill(whole);
    group_.enter(call, signature);
    drain(whole);
    half_ ^= 1;
    return;
  }

  group_.enter(call, signature);
  if (everyone_direct()) {
    direct();
    group_.meet(call);
    return;
  }
  const std::size_t step = stride / element;
  for (std::size_t first = 0; first < count; first += step) {
    const Piece piece{first, std::min(step, count - first), element, stride, false};
    fill(piece);
    group_.meet(call);
    drain(piece);
    half_ ^= 1;
  }
}

}  // namespace tutti::comm
