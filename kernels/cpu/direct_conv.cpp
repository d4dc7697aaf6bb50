// A tile of outputs, of six channels and two vectors of pixels, stays in registers while all that it depends on goes by: each
// weight is read once for sixteen pixels, each pixel once for six channels. The gradient of the images is the same with the
// weights turned round.
#include "kernels/cpu/direct_conv.h"

#include <algorithm>

#include "core/parallel_for.h"
#include "kernels/cpu/padded.h"
#include "kernels/cpu/workspace.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

// Channels of the next tile, of `left` that remain: six, or four where that leaves fewer unused.
std::int64_t tile_channels(std::int64_t left) { return left <= 4 || left == 7 || left == 8 ? 4 : 6; }

std::int64_t packed_channels(std::int64_t channels) {
  std::int64_t packed = 0;
  while (packed < channels) packed += tile_channels(channels - packed);
  return packed;
}

// A convolution of padded planes: out [channels, rows, columns].
struct Job {
  const float* in;
  Padded layout;
  const float* weights;  // of each tile: [taps, its channels]
  std::int64_t taps;
  const std::int64_t* at;  // of each tap, in the planes
  const float* bias;       // or null
  float* out;
  std::int64_t channels, rows, columns;
};

// Rows x Vectors vectors of outputs, of `Block` channels from `channel` on.
template <int Block, int Rows, int Vectors>
TUTTI_INLINE void convolve_tile(const Job& job, std::int64_t channel, std::int64_t y, std::int64_t x) {
  constexpr int count = Rows * Vectors;
  Vector sums[Block][count];
  for (int o = 0; o < Block; ++o) {
    const float first = job.bias && channel + o < job.channels ? job.bias[channel + o] : 0.0f;
    for (int i = 0; i < count; ++i) sums[o][i] = Vector{} + first;
  }
  const std::int64_t next_row = job.layout.next_row();
  const float* weights = job.weights + channel * job.taps;
  const float* const in = job.in + y * next_row + x;
  for (const std::int64_t *at = job.at, *end = at + job.taps; at != end; ++at, weights += Block) {
    Vector pixels[count];
    for (int r = 0; r < Rows; ++r) {
      for (int i = 0; i < Vectors; ++i) load(pixels[r * Vectors + i], in + *at + r * next_row + i * lanes);
    }
    for (int o = 0; o < Block; ++o) {
      for (int i = 0; i < count; ++i) sums[o][i] += pixels[i] * weights[o];
    }
  }
  for (std::int64_t o = 0; o < std::min<std::int64_t>(Block, job.channels - channel); ++o) {
    for (int r = 0; r < Rows; ++r) {
      for (int i = 0; i < Vectors; ++i) {
        const std::int64_t left = x + i * lanes;
        float* const to = job.out + ((channel + o) * job.rows + y + r) * job.columns + left;
        store(sums[o][r * Vectors + i], std::min(lanes, job.columns - left), to);
      }
    }
  }
}

template <int Block>
TUTTI_INLINE void convolve_channels(const Job& job, std::int64_t channel) {
  for (std::int64_t x = 0; x < job.columns; x += 2 * lanes) {
    if (job.columns - x > lanes) {
      for (std::int64_t y = 0; y < job.rows; ++y) convolve_tile<Block, 1, 2>(job, channel, y, x);
    } else {
      std::int64_t y = 0;
      for (; y + 2 <= job.rows; y += 2) convolve_tile<Block, 2, 1>(job, channel, y, x);
      if (y < job.rows) convolve_tile<Block, 1, 1>(job, channel, y, x);
    }
  }
}

TUTTI_MULTIVERSION void convolve(const Job& job) {
  for (std::int64_t channel = 0; channel < job.channels;) {
    const auto block = tile_channels(job.channels - channel);
    block == 6 ? convolve_channels<6>(job, channel) : convolve_channels<4>(job, channel);
    channel += block;
  }
}

// Images of `in` channels, and the kernels of each of `out`, in `groups`.
struct Planes {
  std::int64_t images, groups, in, out;
  WindowDim y, x;
};

// weight(group, to, from, ky, kx): of channels that are not there 0.
template <typename F>
void convolve_images(const Planes& p, const float* from, const float* bias, float* to, F weight) {
  const Padded layout(p.in, p.y, p.x);
  const std::int64_t taps = p.in * p.y.kernel * p.x.kernel, packed = packed_channels(p.out) * taps;
  Workspace<std::int64_t> at(taps);
  Workspace<float> weights(p.groups * packed);
  std::int64_t tap = 0;
  for (std::int64_t c = 0; c < p.in; ++c) {
    for (std::int64_t ky = 0; ky < p.y.kernel; ++ky) {
      for (std::int64_t kx = 0; kx < p.x.kernel; ++kx, ++tap) {
        at.data()[tap] = layout.at(c, ky, kx);
        for (std::int64_t g = 0; g < p.groups; ++g) {
          for (std::int64_t first = 0, block = 0; first < p.out; first += block) {
            block = tile_channels(p.out - first);
            float* const tile = weights.data() + g * packed + first * taps + tap * block;
            for (std::int64_t o = 0; o < block; ++o)
              tile[o] = first + o < p.out ? weight(g, first + o, c, ky, kx) : 0.0f;
          }
        }
      }
    }
  }
  const std::int64_t work = p.groups * p.out * taps * p.y.out * p.x.out;
  parallel_for(p.images, piece_images(p.images, work), [&](std::int64_t first, std::int64_t last) {
    Workspace<float> image(layout.size());
    std::fill_n(image.data(), layout.size(), 0.0f);
    for (std::int64_t i = first * p.groups; i < last * p.groups; ++i) {
      const std::int64_t g = i % p.groups;
      layout.copy(from + i * p.in * p.y.in * p.x.in, image.data());
      convolve({image.data(), layout, weights.data() + g * packed, taps, at.data(),
                bias ? bias + g * p.out : nullptr, to + i * p.out * p.y.out * p.x.out, p.out, p.y.out,
                p.x.out});
    }
  });
}

}  // namespace

bool is_direct(const ConvArgs& a) {
  const auto plain = [](const WindowDim& d) {
    return d.stride <= 4 && d.dilation == 1 && d.padding < d.kernel && d.kernel <= 7;
  };
  // Weights of a tile have to stay in the cache.
  return plain(a.window.y) && plain(a.window.x) && a.window.kernel() > 1 &&
         a.in * a.window.kernel() <= 1024 && a.out * a.window.kernel() <= 1024;
}

void direct_conv(const ConvArgs& a, const float* x, const float* weight, const float* bias, float* out) {
  const auto &wy = a.window.y, &wx = a.window.x;  // clang 14 captures no bindings
  convolve_images({a.n, a.groups, a.in, a.out, wy, wx}, x, bias, out,
                  [&](std::int64_t g, std::int64_t o, std::int64_t c, std::int64_t ky, std::int64_t kx) {
                    return weight[(((g * a.out + o) * a.in + c) * wy.kernel + ky) * wx.kernel + kx];
                  });
}

void direct_conv_grad_images(const ConvArgs& a, const float* g, const float* weight, float* dx) {
  const auto &wy = a.window.y, &wx = a.window.x;
  const auto back = [](const WindowDim& d) {
    return WindowDim{d.out, d.in, d.kernel, 1, d.kernel - 1 - d.padding, 1};
  };
  convolve_images(
      {a.n, a.groups, a.out, a.in, back(wy), back(wx)}, g, nullptr, dx,
      [&](std::int64_t group, std::int64_t c, std::int64_t o, std::int64_t ky, std::int64_t kx) {
        return weight[(((group * a.out + o) * a.in + c) * wy.kernel + wy.kernel - 1 - ky) * wx.kernel +
                      wx.kernel - 1 - kx];
      });
}

}  // namespace tutti::kernels
