// Stands in for kernels/cuda/tma.cuh on a simulated GPU. Where a box is to come, memory is worth nothing at once; the box is
// there when someone waits for its barrier, no sooner.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <vector>

#include "kernels/cuda/tensor_map.h"
#include "tests/simt/language.h"

namespace tutti::kernels {

struct alignas(8) Barrier {
  unsigned phases;  // that ended
  std::uint8_t arrivals, missing;
  std::int16_t pieces;  // of 16 bytes, missing
};

namespace tma {

// Where dynamic shared memory begins, as on a GPU that keeps some for itself: not at a multiple of 1024.
constexpr unsigned window = 1024 + 128;

// Of a barrier.
struct Boxes {
  std::vector<std::function<void()>> coming;
  int waiting = 0;  // threads
};
inline std::map<const Barrier*, Boxes>& boxes() {
  static std::map<const Barrier*, Boxes> all;
  return all;
}

inline void end_phase(Barrier& barrier) {
  if (barrier.missing > 0 || barrier.pieces != 0) return;
  barrier.missing = barrier.arrivals;
  ++barrier.phases;
}
inline void bring(const Barrier& barrier) {
  for (const auto& box : std::exchange(boxes()[&barrier].coming, {})) box();
}

struct NumberedBarrier {
  unsigned rounds, arrived_less_1;  // a block's memory begins as 0xff
};
inline NumberedBarrier& numbered(int number) {
  static const char key = 0;
  return static_cast<NumberedBarrier*>(simt::static_shared(&key, 16 * sizeof(NumberedBarrier)))[number];
}
inline void arrive(NumberedBarrier& barrier, int threads) {
  if (++barrier.arrived_less_1 + 1 < static_cast<unsigned>(threads)) return;
  barrier.arrived_less_1 = ~0u;
  ++barrier.rounds;
}

}  // namespace tma

inline unsigned shared_address(const void* at) {
  return tma::window + static_cast<unsigned>(static_cast<const std::byte*>(at) -
                                             static_cast<std::byte*>(simt::dynamic_shared()));
}
inline std::byte* at_shared_address(unsigned address) {
  return static_cast<std::byte*>(simt::dynamic_shared()) + address - tma::window;
}
// What the swizzle of 128 bytes makes of an address.
inline unsigned swizzled(unsigned address) { return address ^ (address >> 7 & 7) << 4; }

inline void init(Barrier& barrier, unsigned arrivals) {
  barrier = {0, static_cast<std::uint8_t>(arrivals), static_cast<std::uint8_t>(arrivals), 0};
  tma::boxes()[&barrier] = {};
}
inline void publish_barriers() {}
inline void arrive(Barrier& barrier) {
  if (barrier.missing == 0) simt::fail("mbarrier: more threads arrive than it counts");
  --barrier.missing;
  tma::end_phase(barrier);
}
inline void arrive_expecting(Barrier& barrier, unsigned bytes) {
  if (barrier.missing == 0) simt::fail("mbarrier: more threads arrive than it counts");
  barrier.pieces = static_cast<std::int16_t>(barrier.pieces + bytes / 16);
  arrive(barrier);
}
inline void wait(Barrier& barrier, unsigned parity) {
  tma::bring(barrier);
  auto& waiting = tma::boxes()[&barrier].waiting;
  ++waiting;
  while (barrier.phases % 2 == parity) simt::wait_for_change(barrier.phases);
  --waiting;
}

inline void prefetch(const TensorMap&) {}
inline void load_box(void* to, const TensorMap& map, int column, int row, int place, Barrier& barrier) {
  const unsigned address = shared_address(to);
  if (address % 1024 != 0) simt::fail("cp.async.bulk.tensor: a tile that does not begin at 1024 bytes");
  if (place < 0 || place >= map.shape.places) simt::fail("cp.async.bulk.tensor: outside of the batch");
  const int bytes = map.box_rows * box_columns * 2;
  std::memset(to, 0xff, static_cast<std::size_t>(bytes));
  auto box = [=, &barrier] {
    const auto& [columns, rows, places, ld, unit] = map.shape;
    for (int r = 0; r < map.box_rows; ++r) {
      for (int c = 0; c < box_columns; ++c) {
        std::byte* const there =
            at_shared_address(swizzled(address + static_cast<unsigned>(r * box_columns + c) * 2));
        if (row + r < rows && column + c < columns) {
          std::memcpy(there, map.data + 2 * (column + c + (row + r) * ld + place * unit), 2);
        } else {
          std::memset(there, 0, 2);
        }
      }
    }
    barrier.pieces = static_cast<std::int16_t>(barrier.pieces - bytes / 16);
    tma::end_phase(barrier);
  };
  auto& boxes = tma::boxes()[&barrier];
  boxes.coming.emplace_back(std::move(box));
  if (boxes.waiting > 0) tma::bring(barrier);
}

inline void load_bytes(void* to, const void* from, unsigned bytes, Barrier& barrier) {
  if ((std::bit_cast<std::uintptr_t>(to) | std::bit_cast<std::uintptr_t>(from) | bytes) % 16 != 0)
    simt::fail("cp.async.bulk: a misaligned address");
  std::memset(to, 0xff, bytes);
  auto& boxes = tma::boxes()[&barrier];
  boxes.coming.emplace_back([=, &barrier] {
    std::memcpy(to, from, bytes);
    barrier.pieces = static_cast<std::int16_t>(barrier.pieces - bytes / 16);
    tma::end_phase(barrier);
  });
  if (boxes.waiting > 0) tma::bring(barrier);
}

inline void sync_threads(int number, int threads) {
  auto& barrier = tma::numbered(number);
  const unsigned round = barrier.rounds;
  tma::arrive(barrier, threads);
  while (barrier.rounds == round) simt::wait_for_change(barrier.rounds);
}
inline void arrive_threads(int number, int threads) { tma::arrive(tma::numbered(number), threads); }

}  // namespace tutti::kernels
