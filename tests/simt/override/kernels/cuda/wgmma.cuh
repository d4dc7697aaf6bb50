// Stands in for kernels/cuda/wgmma.cuh on a simulated GPU. A product is made when it is waited for, no sooner, of what registers
// and shared memory have then; where it finds its operands is read from descriptors as the PTX ISA describes them.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "kernels/cuda/ptx.cuh"
#include "kernels/cuda/tma.cuh"

namespace tutti::kernels {

inline constexpr bool has_wgmma = true;

namespace wgmma_parts {

struct Products {
  std::vector<std::vector<std::function<void()>>> groups{1};  // the last one is not committed
  bool fenced = false;
};
inline Products& products() {
  static std::array<Products, simt::most_threads> all;
  return all[simt::thread().number];
}
inline void begin(std::function<void()> product) {
  if (!products().fenced) simt::fail("wgmma: no fence since the last group");
  products().groups.back().push_back(std::move(product));
}

struct Descriptor {
  unsigned start, leading, stride;  // bytes

  explicit Descriptor(std::uint64_t bits)
      : start((bits & 0x3fff) << 4), leading((bits >> 16 & 0x3fff) << 4), stride((bits >> 32 & 0x3fff) << 4) {
    constexpr std::uint64_t known = 0x3fff | std::uint64_t{0x3fff} << 16 | std::uint64_t{0x3fff} << 32;
    if ((bits & ~known) != std::uint64_t{1} << 62)
      simt::fail("wgmma: a descriptor of another swizzle, or with a base offset");
  }

  // Of [rows, 16] where k runs fastest, 64 elements of it being a row of 128 bytes.
  template <typename T>
  float k_major(unsigned row, unsigned k) const {
    return at<T>(row / 8 * stride + row % 8 * 128 + k * 2);
  }
  // Of [16, columns] where columns run fastest.
  template <typename T>
  float column_major(unsigned k, unsigned column) const {
    return at<T>(column / 64 * leading + k / 8 * stride + k % 8 * 128 + column % 64 * 2);
  }

 private:
  template <typename T>
  float at(unsigned offset) const {
    std::uint16_t bits;
    std::memcpy(&bits, at_shared_address(swizzled(start + offset)), 2);
    return static_cast<float>(std::bit_cast<T>(bits));
  }
};

// This lane's part of c += a b: of rows g and g + 8 of its warp's.
template <int n, typename A, typename B>
void add_product(float (&c)[n][4], A a, B b) {
  const unsigned g = simt::thread().lane() / 4, t = simt::thread().lane() % 4;
  float rows[2][16];
  for (unsigned e = 0; e < 2; ++e) {
    for (unsigned k = 0; k < 16; ++k) rows[e][k] = a(g + 8 * e, k);
  }
  for (unsigned j = 0; j < n; ++j) {
    for (unsigned i = 0; i < 4; ++i) {
      for (unsigned k = 0; k < 16; ++k) c[j][i] += rows[i / 2][k] * b(k, 8 * j + 2 * t + i % 2);
    }
  }
}

}  // namespace wgmma_parts

inline std::uint64_t matrix_at(const void* at, unsigned leading = 16) {
  constexpr std::uint64_t swizzle_128 = std::uint64_t{1} << 62, eight_rows = std::uint64_t{1024 >> 4} << 32;
  return swizzle_128 | eight_rows | std::uint64_t{leading >> 4} << 16 | (shared_address(at) & 0x3ffffu) >> 4;
}

inline void wgmma_fence() { wgmma_parts::products().fenced = true; }
inline void wgmma_commit() {
  wgmma_parts::products().groups.emplace_back();
  wgmma_parts::products().fenced = false;
}
template <int groups>
void wgmma_wait() {
  auto& all = wgmma_parts::products().groups;
  while (all.size() - 1 > groups) {
    const auto group = std::move(all.front());
    all.erase(all.begin());
    for (const auto& product : group) product();
  }
}
template <typename C>
void hold(C&) {}

template <int>
void take_registers() {}
template <int>
void give_registers() {}

template <typename T, bool adds, int n>
void wgmma_transposed(float (&c)[n][4], std::uint64_t a, std::uint64_t b) {
  wgmma_parts::begin([&c, a, b] {
    if (!adds) std::memset(&c, 0, sizeof c);
    const wgmma_parts::Descriptor left(a), right(b);
    const unsigned first = simt::thread().number / 32 % 4 * 16;
    wgmma_parts::add_product(
        c, [&](unsigned row, unsigned k) { return left.k_major<T>(first + row, k); },
        [&](unsigned k, unsigned column) { return right.k_major<T>(column, k); });
  });
}
template <typename T, int n>
void wgmma(float (&c)[n][4], const unsigned (&a)[4], std::uint64_t b) {
  wgmma_parts::begin([&c, &a, b] {
    struct Part {
      unsigned a[4];
      std::uint64_t b;
    };
    const auto all = ptx::of_all_lanes(Part{{a[0], a[1], a[2], a[3]}, b});
    for (const Part& part : all) {
      if (part.b != b) simt::fail("wgmma: lanes have different descriptors");
    }
    const wgmma_parts::Descriptor right(b);
    wgmma_parts::add_product(
        c,
        [&](unsigned row, unsigned k) {
          return ptx::half_of<T>(all[row % 8 * 4 + k % 8 / 2].a[row / 8 + k / 8 * 2], k % 2);
        },
        [&](unsigned k, unsigned column) { return right.column_major<T>(k, column); });
  });
}

}  // namespace tutti::kernels
