// Convolution as a product: an image is unfolded into one column for each output, of all that its window
// covers.
#include "kernels/conv.h"

#include <algorithm>
#include <vector>

#include "kernels/gemm.h"

namespace tutti::kernels {
namespace {

// Calls f(image, column, count) for each run of `count` outputs that take image[0], image[stride], ... as
// their element of a column, and outside(column, count) for each run whose element is padding. `columns` is
// [channels * kernel, out].
template <typename I, typename C, typename F, typename G>
void for_each_window_run(const Window& w, std::int64_t channels, I* image, C* columns, F f, G outside) {
  const auto& [y, x] = w;
  for (std::int64_t c = 0; c < channels; ++c, image += w.in()) {
    for (std::int64_t ky = 0; ky < y.kernel; ++ky) {
      for (std::int64_t kx = 0; kx < x.kernel; ++kx, columns += w.out()) {
        const std::int64_t top = y.first_inside(ky), bottom = y.end_inside(ky);
        const std::int64_t left = x.first_inside(kx), right = x.end_inside(kx);
        outside(columns, top * x.out);
        for (std::int64_t oy = top; oy < bottom; ++oy) {
          C* row = columns + oy * x.out;
          outside(row, left);
          if (left < right) f(image + y.input(oy, ky) * x.in + x.input(left, kx), row + left, right - left);
          outside(row + right, x.out - right);
        }
        outside(columns + bottom * x.out, (y.out - bottom) * x.out);
      }
    }
  }
}

template <typename T>
void unfold(const Window& w, std::int64_t channels, const T* image, T* columns) {
  const std::int64_t stride = w.x.stride;
  for_each_window_run(
      w, channels, image, columns,
      [stride](const T* from, T* to, std::int64_t count) {
        if (stride == 1) {
          std::copy_n(from, count, to);
        } else {
          for (std::int64_t i = 0; i < count; ++i) to[i] = from[i * stride];
        }
      },
      [](T* to, std::int64_t count) { std::fill_n(to, count, T(0)); });
}

// The reverse: adds each element of the columns to the image where it came from.
template <typename T>
void fold(const Window& w, std::int64_t channels, T* image, const T* columns) {
  const std::int64_t stride = w.x.stride;
  for_each_window_run(
      w, channels, image, columns,
      [stride](T* to, const T* from, std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i) to[i * stride] += from[i];
      },
      [](const T*, std::int64_t) {});
}

bool is_pointwise(const WindowDim& d) { return d.kernel == 1 && d.stride == 1 && d.padding == 0; }

// A group of an image as columns; of a 1 x 1 kernel they are the image itself.
template <typename T>
class Columns {
 public:
  explicit Columns(const ConvArgs& args)
      : args_(args),
        pointwise_(is_pointwise(args.window.y) && is_pointwise(args.window.x)),
        scratch_(pointwise_ ? 0
                            : static_cast<std::size_t>(args.in * args.window.kernel() * args.window.out())) {}

  bool pointwise() const { return pointwise_; }
  T* scratch() { return scratch_.data(); }
  const T* of(const T* image) {
    if (pointwise_) return image;
    unfold(args_.window, args_.in, image, scratch());
    return scratch();
  }

 private:
  const ConvArgs& args_;
  bool pointwise_;
  std::vector<T> scratch_;
};

template <typename T>
void forward(const ConvArgs& a, const T* x, const T* weight, const T* bias, T* out) {
  const std::int64_t outputs = a.window.out(), taps = a.in * a.window.kernel();
  Columns<T> columns(a);
  for (std::int64_t i = 0; i < a.n; ++i) {
    for (std::int64_t g = 0; g < a.groups; ++g, x += a.in * a.window.in(), out += a.out * outputs) {
      if (bias) {
        for (std::int64_t o = 0; o < a.out; ++o) std::fill_n(out + o * outputs, outputs, bias[g * a.out + o]);
      }
      gemm<T>(false, false, a.out, outputs, taps, weight + g * a.out * taps, taps, columns.of(x), outputs,
              bias ? T(1) : T(0), out, outputs);
    }
  }
}

template <typename T>
void backward(const ConvArgs& a, const T* g, const T* x, const T* weight, T* dx, T* dweight) {
  const std::int64_t outputs = a.window.out(), taps = a.in * a.window.kernel(), inputs = a.in * a.window.in();
  Columns<T> columns(a);
  for (std::int64_t i = 0; i < a.n * a.groups; ++i, g += a.out * outputs) {
    const std::int64_t first_weight = i % a.groups * a.out * taps;
    if (dweight) {
      gemm<T>(false, true, a.out, taps, outputs, g, outputs, columns.of(x + i * inputs), outputs,
              i < a.groups ? T(0) : T(1), dweight + first_weight, taps);
    }
    if (dx) {
      T* image = dx + i * inputs;
      T* to = columns.pointwise() ? image : columns.scratch();
      gemm<T>(true, false, taps, outputs, a.out, weight + first_weight, taps, g, outputs, T(0), to, outputs);
      if (columns.pointwise()) continue;
      std::fill_n(image, inputs, T(0));
      fold(a.window, a.in, image, columns.scratch());
    }
  }
}

}  // namespace

void Conv2d::cpu(const ConvArgs& args, const void* x, const void* weight, const void* bias, void* out) {
  const auto run = [&]<typename T>(T) {
    forward(args, static_cast<const T*>(x), static_cast<const T*>(weight), static_cast<const T*>(bias),
            static_cast<T*>(out));
  };
  args.dtype == DType::f64 ? run(double{}) : run(float{});
}

void Conv2dGrad::cpu(const ConvArgs& args, const void* g, const void* x, const void* weight, void* dx,
                     void* dweight) {
  const auto run = [&]<typename T>(T) {
    backward(args, static_cast<const T*>(g), static_cast<const T*>(x), static_cast<const T*>(weight),
             static_cast<T*>(dx), static_cast<T*>(dweight));
  };
  args.dtype == DType::f64 ? run(double{}) : run(float{});
}

}  // namespace tutti::kernels
