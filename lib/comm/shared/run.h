// The ways of a collective: small, directly on the peers' memory, or through memory of each pair of ranks.
#pragma once

#include <atomic>
#include <cstring>

#include "comm/shared/backend.h"
#include "comm/shared/slice.h"

namespace tutti::comm {

// Elements [first, first + count) of each block of a collective.
struct SharedBackend::Piece {
  std::size_t first;
  std::size_t count;
  std::size_t element;

  std::size_t offset() const { return first * element; }
  std::size_t bytes() const { return count * element; }
};

template <typename Direct, typename Give, typename Take, typename Large>
void SharedBackend::run(const Call& call, const Signature& signature, ConstBufferView in, ConstBufferView out,
                        Direct direct, Give give, Take take, Large large) {
  // Of all that a rank writes and reads in one go: what is more is done faster piece by piece, or in slices.
  constexpr std::size_t most_small_bytes = 32 * 1024;

  const Piece whole{0, signature.count, size_of(signature.dtype)};
  if (whole.bytes() <= Line::room) {
    group_.enter(call, signature, 0, [&](Line& line, int peer) { give(whole, peer, line.data); });
    for (const int peer : group_.peers()) from_[index(peer)] = group_.heard(peer).data;
    return take(whole, from_);
  }
  if (whole.bytes() <= group_.layout().small_bytes() && whole.bytes() * ranks() <= most_small_bytes) {
    for (const int peer : group_.peers()) give(whole, peer, group_.small_for(peer));
    group_.enter(call, signature, whole.bytes(), [](Line&, int) {});
    for (const int peer : group_.peers()) from_[index(peer)] = group_.small_of(peer);
    return take(whole, from_);
  }

  const auto in_place = segment_->locate(in.data, in.bytes());
  const auto out_place = segment_->locate(out.data, out.bytes());
  Signature large_signature = signature;
  large_signature.direct = in_place && out_place;
  places_[index(rank())] = {in_place.value_or(0), out_place.value_or(0)};
  group_.enter(call, large_signature, 0,
               [&](Line& line, int) { std::memcpy(line.data, &places_[index(rank())], sizeof(Places)); });
  bool everyone_direct = large_signature.direct;
  for (const int peer : group_.peers()) {
    const Line& line = group_.heard(peer);
    everyone_direct = everyone_direct && line.signature.direct;
    std::memcpy(&places_[index(peer)], line.data, sizeof(Places));
  }
  if (!everyone_direct) return large(whole);
  direct();
  group_.meet(call);
  // One that gave up waiting for this rank had done its part, so all have met; but its memory may have been gone before
  // this rank had read it.
  std::atomic_thread_fence(std::memory_order_acquire);
  group_.check(call);
}

template <typename Direct, typename Give, typename Take>
void SharedBackend::run(const Call& call, const Signature& signature, ConstBufferView in, ConstBufferView out,
                        Direct direct, Give give, Take take) {
  run(call, signature, in, out, direct, give, take, [&](const Piece& whole) {
    // While the peers take one piece, this rank gives the next one.
    const std::size_t step = group_.layout().block_bytes() / whole.element;
    const auto piece = [&](std::size_t first) {
      return Piece{first, std::min(step, whole.count - first), whole.element};
    };
    const auto give_all = [&](const Piece& p) {
      for (const int peer : group_.peers()) give(p, peer, group_.exchange_block_for(peer, block_number_));
      ++block_number_;
      return group_.post();
    };
    auto phase = give_all(piece(0));
    for (std::size_t first = 0; first < whole.count; first += step) {
      const auto given = phase;
      const auto number = block_number_ - 1;
      if (first + step < whole.count) phase = give_all(piece(first + step));
      group_.await(call, given);
      for (const int peer : group_.peers()) from_[index(peer)] = group_.exchange_block_of(peer, number);
      take(piece(first), from_);
    }
  });
}

}  // namespace tutti::comm
