// Stands in for kernels/cuda/ptx.cuh on a simulated GPU: each lane holds what it would hold there. A copy on the side is
// carried out when it is waited for, no sooner.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "tests/simt/language.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {
namespace ptx {

// What each lane of the warp has of one struct.
template <typename P>
std::array<P, 32> of_all_lanes(const P& mine) {
  std::array<P, 32> all;
  simt::gather(0xffffffffu, &mine, sizeof mine, all.data());
  return all;
}

template <typename T>
float half_of(unsigned both, unsigned k) {
  return static_cast<float>(std::bit_cast<T>(static_cast<std::uint16_t>(both >> 16 * k)));
}

inline const std::byte* aligned(const void* row, unsigned flip, unsigned offset) {
  const auto address = std::bit_cast<std::uintptr_t>(row);
  if ((address | flip | offset) % 16 != 0) simt::fail("ldmatrix: a misaligned address");
  return static_cast<const std::byte*>(row) + (address ^ flip) - address + offset;
}

struct Copies {
  struct Copy {
    std::byte* to;
    const std::byte* from;  // zeros if null
    std::size_t bytes;
  };
  std::vector<std::vector<Copy>> groups{1};  // the last one is not committed
};
inline Copies& copies() {
  static std::array<Copies, simt::most_threads> all;
  return all[simt::thread().number];
}
inline void copy(void* shared, const void* global, std::size_t bytes, bool inside) {
  if ((std::bit_cast<std::uintptr_t>(shared) | (inside ? std::bit_cast<std::uintptr_t>(global) : 0)) %
          bytes !=
      0)
    simt::fail("cp.async: a misaligned address");
  copies().groups.back().push_back(
      {static_cast<std::byte*>(shared), inside ? static_cast<const std::byte*>(global) : nullptr, bytes});
}

}  // namespace ptx

template <typename T>
void mma_m16n8k16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  struct Part {
    unsigned a[4], b[2];
  };
  const auto all = ptx::of_all_lanes(Part{{a[0], a[1], a[2], a[3]}, {b0, b1}});
  const unsigned g = simt::thread().lane() / 4, t = simt::thread().lane() % 4;
  for (unsigned i = 0; i < 4; ++i) {
    const unsigned column = 2 * t + i % 2;
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned upper = k / 8, owner = k % 8 / 2;
      c[i] += ptx::half_of<T>(all[4 * g + owner].a[i / 2 + 2 * upper], k % 2) *
              ptx::half_of<T>(all[4 * column + owner].b[upper], k % 2);
    }
  }
}

inline void ldmatrix_x4(unsigned (&to)[4], const void* row, unsigned flip, unsigned offset) {
  const auto rows = ptx::of_all_lanes(ptx::aligned(row, flip, offset));
  const unsigned g = simt::thread().lane() / 4, t = simt::thread().lane() % 4;
  for (unsigned i = 0; i < 4; ++i) std::memcpy(&to[i], rows[8 * i + g] + 4 * t, 4);
}
inline void ldmatrix_x4_trans(unsigned (&to)[4], const void* row, unsigned flip, unsigned offset) {
  const auto rows = ptx::of_all_lanes(ptx::aligned(row, flip, offset));
  const unsigned g = simt::thread().lane() / 4, t = simt::thread().lane() % 4;
  for (unsigned i = 0; i < 4; ++i) {
    std::uint16_t both[2];
    for (unsigned k = 0; k < 2; ++k) std::memcpy(&both[k], rows[8 * i + 2 * t + k] + 2 * g, 2);
    to[i] = both[0] | static_cast<unsigned>(both[1]) << 16;
  }
}

inline void cp_async_16(void* shared, const void* global, bool inside) {
  ptx::copy(shared, global, 16, inside);
}
inline void cp_async_commit() { ptx::copies().groups.emplace_back(); }
template <int groups>
void cp_async_wait() {
  auto& all = ptx::copies().groups;
  const std::size_t done = all.size() - 1 > groups ? all.size() - 1 - groups : 0;
  for (std::size_t i = 0; i < done; ++i) {
    for (const auto& [to, from, bytes] : all[i]) {
      if (from == nullptr) {
        std::memset(to, 0, bytes);
      } else {
        std::memcpy(to, from, bytes);
      }
    }
  }
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(done));
}

inline int fresh(int x) { return x; }

template <typename T>
unsigned packed(float low, float high) {
  return std::bit_cast<std::uint16_t>(T(low)) | static_cast<unsigned>(std::bit_cast<std::uint16_t>(T(high)))
                                                    << 16;
}

inline float fast_exp2(float x) { return std::exp2(x); }

}  // namespace tutti::kernels
