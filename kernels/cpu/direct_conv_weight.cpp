// A tile of the weight's gradient, of four channels of the results and up to three neighbours of a row of the kernel, stays in
// registers, a vector of sums each, while the pixels of the images go by.
#include <algorithm>
#include <cstring>

#include "kernels/cpu/direct_conv.h"
#include "kernels/cpu/padded.h"
#include "kernels/cpu/workspace.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

constexpr std::int64_t block = 4;
using Quad = float __attribute__((vector_size(block * sizeof(float))));

// Of a few images, which the cache holds.
struct Job {
  const ConvArgs& args;
  std::int64_t images;
  const float* in;  // [images, in] padded planes
  Padded layout;
  const float* gradient;       // of an image: [out, rows, columns], out and columns filled up with zeros
  std::int64_t next_gradient;  // from an image to the next
  std::int64_t out, columns;
  float* sums;  // [out / block, in, y.kernel, x.kernel, block]

  std::int64_t rows() const { return args.window.y.out; }
};

// Of the lanes of four vectors.
TUTTI_INLINE Quad sums_of(const Vector& a, const Vector& b, const Vector& c, const Vector& d) {
  const Vector ab = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14) +
                    __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  const Vector cd = __builtin_shufflevector(c, d, 0, 8, 2, 10, 4, 12, 6, 14) +
                    __builtin_shufflevector(c, d, 1, 9, 3, 11, 5, 13, 7, 15);
  const Vector abcd = __builtin_shufflevector(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) +
                      __builtin_shufflevector(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
  return __builtin_shufflevector(abcd, abcd, 0, 1, 2, 3) + __builtin_shufflevector(abcd, abcd, 4, 5, 6, 7);
}

template <int Taps>
TUTTI_INLINE void add_taps(const Job& job, std::int64_t channel, std::int64_t c, std::int64_t ky,
                           std::int64_t kx) {
  Vector sums[block][Taps] = {};
  const std::int64_t plane = job.rows() * job.columns, next_row = job.layout.next_row();
  std::int64_t at[Taps];
#pragma GCC unroll 4
  for (int t = 0; t < Taps; ++t) at[t] = job.layout.at(c, ky, kx + t);
  for (std::int64_t image = 0; image < job.images; ++image) {
    const float* row = job.in + image * job.layout.size();
    const float* gradient = job.gradient + image * job.next_gradient + channel * plane;
    for (std::int64_t y = 0; y < job.rows(); ++y, row += next_row) {
      for (std::int64_t x = 0; x < job.columns; x += lanes, gradient += lanes) {
        Vector pixels[Taps];
#pragma GCC unroll 4
        for (int t = 0; t < Taps; ++t) load(pixels[t], row + at[t] + x);
#pragma GCC unroll 4
        for (int o = 0; o < block; ++o) {
          Vector g;
          load(g, gradient + o * plane);
#pragma GCC unroll 4
          for (int t = 0; t < Taps; ++t) sums[o][t] += g * pixels[t];
        }
      }
    }
  }
  const auto& [y, x] = job.args.window;
  float* to =
      job.sums + ((channel * job.args.in + c * block) * y.kernel + ky * block) * x.kernel + kx * block;
#pragma GCC unroll 4
  for (int t = 0; t < Taps; ++t, to += block) {
    Quad sum;
    std::memcpy(&sum, to, sizeof sum);
    sum += sums_of(sums[0][t], sums[1][t], sums[2][t], sums[3][t]);
    std::memcpy(to, &sum, sizeof sum);
  }
}

TUTTI_MULTIVERSION void add_all(const Job& job) {
  const auto& [y, x] = job.args.window;
  for (std::int64_t channel = 0; channel < job.out; channel += block) {
    for (std::int64_t c = 0; c < job.args.in; ++c) {
      for (std::int64_t ky = 0; ky < y.kernel; ++ky) {
        std::int64_t kx = 0;
        for (; kx + 3 <= x.kernel; kx += 3) add_taps<3>(job, channel, c, ky, kx);
        if (x.kernel - kx == 2) add_taps<2>(job, channel, c, ky, kx);
        if (x.kernel - kx == 1) add_taps<1>(job, channel, c, ky, kx);
      }
    }
  }
}

// To [out, rows, columns], which has its zeros already.
void fill_up(const ConvArgs& a, const float* from, std::int64_t columns, float* to) {
  const auto& [y, x] = a.window;
  for (std::int64_t row = 0; row < a.out * y.out; ++row)
    copy_row(from + row * x.out, x.out, to + row * columns);
}

// From `sums` to where the weight has each.
void unpack(const ConvArgs& a, const float* sums, float* dweight) {
  const std::int64_t taps = a.in * a.window.kernel();
  for (std::int64_t channel = 0; channel < a.out; ++channel) {
    const float* const from = sums + channel / block * block * taps + channel % block;
    for (std::int64_t tap = 0; tap < taps; ++tap) dweight[channel * taps + tap] = from[tap * block];
  }
}

}  // namespace

void direct_conv_grad_weight(const ConvArgs& a, std::int64_t images, const float* g, const float* x,
                             float* dweight) {
  const auto& window = a.window;
  const Padded layout(a.in, window.y, window.x);
  const std::int64_t out = whole(a.out, block), columns = whole(window.x.out, lanes),
                     plane = window.y.out * columns, results = a.out * window.out();
  const bool as_it_is = out * plane == results;
  // As many as the first cache holds of what a tile reads.
  const std::int64_t most =
      std::clamp<std::int64_t>(6144 / (block * plane + layout.size() / a.in), 1, images);
  const std::int64_t taps = a.in * window.kernel();
  Workspace<float> padded(most * layout.size()), filled(as_it_is ? 0 : most * out * plane), sums(out * taps);
  std::fill_n(padded.data(), most * layout.size(), 0.0f);
  std::fill_n(filled.data(), as_it_is ? 0 : most * out * plane, 0.0f);
  for (std::int64_t group = 0; group < a.groups; ++group) {
    std::fill_n(sums.data(), out * taps, 0.0f);
    for (std::int64_t first = 0; first < images; first += most) {
      const std::int64_t count = std::min(most, images - first), begin = first * a.groups + group;
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t at = begin + i * a.groups;
        layout.copy(x + at * a.in * window.in(), padded.data() + i * layout.size());
        if (!as_it_is) fill_up(a, g + at * results, columns, filled.data() + i * out * plane);
      }
      add_all({a, count, padded.data(), layout, as_it_is ? g + begin * results : filled.data(),
               as_it_is ? a.groups * results : out * plane, out, columns, sums.data()});
    }
    unpack(a, sums.data(), dweight + group * a.out * taps);
  }
}

}  // namespace tutti::kernels
