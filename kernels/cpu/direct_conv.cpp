// A tile of outputs, of four channels and two vectors of pixels, stays in registers while all that it depends on goes by: each
// weight is read once for sixteen pixels, each pixel once for four channels. Images are copied between zeros first, so that
// nothing is outside. The gradient of the images is the same with the weights turned round.
#include "kernels/cpu/direct_conv.h"

#include <algorithm>
#include <cstring>

#include "core/parallel_for.h"
#include "kernels/cpu/vector_math.h"
#include "kernels/cpu/workspace.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

constexpr std::int64_t lanes = 8, block = 4;  // pixels of a vector, channels of a tile
using Vector = float __attribute__((vector_size(lanes * sizeof(float))));

TUTTI_INLINE void load(Vector& vector, const float* from) { std::memcpy(&vector, from, sizeof vector); }

std::int64_t whole(std::int64_t n, std::int64_t of) { return (n + of - 1) / of * of; }

// Planes between zeros: `top` rows and `left` columns before them.
struct Padded {
  std::int64_t channels, height, width, top, left;
  std::int64_t plane() const { return height * width; }
  std::int64_t size() const { return channels * plane(); }

  // Planes of rows x columns to `to`, which has its zeros already.
  void copy(const float* from, std::int64_t rows, std::int64_t columns, float* to) const {
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t y = 0; y < rows; ++y) {
        std::copy_n(from + (c * rows + y) * columns, columns, to + (c * height + y + top) * width + left);
      }
    }
  }
};

// A convolution of padded planes: out [channels, rows, columns].
struct Job {
  const float* in;
  Padded layout;
  const float* weights;  // [channels / block, layout.channels, kernel_rows, kernel_columns, block]
  std::int64_t kernel_rows, kernel_columns;
  const float* bias;  // or null
  float* out;
  std::int64_t channels, rows, columns;
};

// Rows x Vectors vectors of outputs, of `block` channels from `channel` on.
template <int Rows, int Vectors>
TUTTI_INLINE void convolve_tile(const Job& job, std::int64_t channel, std::int64_t y, std::int64_t x) {
  constexpr int count = Rows * Vectors;
  Vector sums[block][count];
  for (int o = 0; o < block; ++o) {
    const float first = job.bias && channel + o < job.channels ? job.bias[channel + o] : 0.0f;
    for (int i = 0; i < count; ++i) sums[o][i] = Vector{} + first;
  }
  const std::int64_t width = job.layout.width,
                     taps = job.layout.channels * job.kernel_rows * job.kernel_columns;
  const float* weights = job.weights + channel * taps;
  for (std::int64_t c = 0; c < job.layout.channels; ++c) {
    for (std::int64_t ky = 0; ky < job.kernel_rows; ++ky) {
      const float* const row = job.in + c * job.layout.plane() + (y + ky) * width + x;
      for (std::int64_t kx = 0; kx < job.kernel_columns; ++kx, weights += block) {
        Vector pixels[count];
        for (int r = 0; r < Rows; ++r) {
          for (int i = 0; i < Vectors; ++i) load(pixels[r * Vectors + i], row + r * width + kx + i * lanes);
        }
        for (int o = 0; o < block; ++o) {
          for (int i = 0; i < count; ++i) sums[o][i] += pixels[i] * weights[o];
        }
      }
    }
  }
  for (std::int64_t o = 0; o < std::min(block, job.channels - channel); ++o) {
    for (int r = 0; r < Rows; ++r) {
      for (int i = 0; i < Vectors; ++i) {
        const std::int64_t left = x + i * lanes, n = std::min(lanes, job.columns - left);
        float* const to = job.out + ((channel + o) * job.rows + y + r) * job.columns + left;
        std::memcpy(to, &sums[o][r * Vectors + i], static_cast<std::size_t>(n) * sizeof(float));
      }
    }
  }
}

TUTTI_MULTIVERSION void convolve(const Job& job) {
  for (std::int64_t channel = 0; channel < job.channels; channel += block) {
    for (std::int64_t x = 0; x < job.columns; x += 2 * lanes) {
      if (job.columns - x > lanes) {
        for (std::int64_t y = 0; y < job.rows; ++y) convolve_tile<1, 2>(job, channel, y, x);
      } else {
        std::int64_t y = 0;
        for (; y + 2 <= job.rows; y += 2) convolve_tile<2, 1>(job, channel, y, x);
        if (y < job.rows) convolve_tile<1, 1>(job, channel, y, x);
      }
    }
  }
}

// weights(to, from, tap) for each block of `to`: those of channels that are not there are 0.
template <typename F>
void pack(std::int64_t to_channels, std::int64_t from_channels, std::int64_t kernel, float* out, F weight) {
  for (std::int64_t first = 0; first < to_channels; first += block) {
    for (std::int64_t from = 0; from < from_channels; ++from) {
      for (std::int64_t tap = 0; tap < kernel; ++tap) {
        for (std::int64_t o = first; o < first + block; ++o)
          *out++ = o < to_channels ? weight(o, from, tap) : 0.0f;
      }
    }
  }
}

// The input of a convolution whose results have `columns`, read by whole vectors.
Padded padded(std::int64_t channels, const WindowDim& y, const WindowDim& x, std::int64_t top,
              std::int64_t left, std::int64_t rows, std::int64_t columns) {
  return {channels, rows + y.kernel - 1, whole(columns, lanes) + lanes + x.kernel - 1, top, left};
}

}  // namespace

bool is_direct(const ConvArgs& a) {
  const auto& [y, x] = a.window;
  const auto plain = [](const WindowDim& d) {
    return d.stride == 1 && d.dilation == 1 && d.padding < d.kernel && d.kernel <= 7;
  };
  // Weights of a tile have to stay in the cache.
  return plain(y) && plain(x) && a.window.kernel() > 1 && a.in * a.window.kernel() <= 1024 &&
         a.out * a.window.kernel() <= 1024;
}

void direct_conv(const ConvArgs& a, const float* x, const float* weight, const float* bias, float* out) {
  const auto& [wy, wx] = a.window;
  const std::int64_t kernel = a.window.kernel(), packed = whole(a.out, block) * a.in * kernel;
  Workspace<float> weights(a.groups * packed);
  for (std::int64_t g = 0; g < a.groups; ++g) {
    pack(a.out, a.in, kernel, weights.data() + g * packed,
         [&](std::int64_t o, std::int64_t c, std::int64_t tap) {
           return weight[((g * a.out + o) * a.in + c) * kernel + tap];
         });
  }
  const auto layout = padded(a.in, wy, wx, wy.padding, wx.padding, wy.out, wx.out);
  parallel_for(a.n, piece_images(a), [&](std::int64_t first, std::int64_t last) {
    Workspace<float> image(layout.size());
    std::fill_n(image.data(), layout.size(), 0.0f);
    for (std::int64_t i = first * a.groups; i < last * a.groups; ++i) {
      const std::int64_t g = i % a.groups;
      layout.copy(x + i * a.in * a.window.in(), wy.in, wx.in, image.data());
      convolve({image.data(), layout, weights.data() + g * packed, wy.kernel, wx.kernel,
                bias ? bias + g * a.out : nullptr, out + i * a.out * a.window.out(), a.out, wy.out, wx.out});
    }
  });
}

void direct_conv_grad_images(const ConvArgs& a, const float* g, const float* weight, float* dx) {
  const auto& [wy, wx] = a.window;
  const std::int64_t kernel = a.window.kernel(), packed = whole(a.in, block) * a.out * kernel;
  Workspace<float> weights(a.groups * packed);
  for (std::int64_t group = 0; group < a.groups; ++group) {
    pack(a.in, a.out, kernel, weights.data() + group * packed,
         [&](std::int64_t c, std::int64_t o, std::int64_t tap) {
           return weight[((group * a.out + o) * a.in + c) * kernel + kernel - 1 - tap];
         });
  }
  const auto layout =
      padded(a.out, wy, wx, wy.kernel - 1 - wy.padding, wx.kernel - 1 - wx.padding, wy.in, wx.in);
  parallel_for(a.n, piece_images(a), [&](std::int64_t first, std::int64_t last) {
    Workspace<float> gradient(layout.size());
    std::fill_n(gradient.data(), layout.size(), 0.0f);
    for (std::int64_t i = first * a.groups; i < last * a.groups; ++i) {
      layout.copy(g + i * a.out * a.window.out(), wy.out, wx.out, gradient.data());
      convolve({gradient.data(), layout, weights.data() + i % a.groups * packed, wy.kernel, wx.kernel,
                nullptr, dx + i * a.in * a.window.in(), a.in, wy.in, wx.in});
    }
  });
}

}  // namespace tutti::kernels
