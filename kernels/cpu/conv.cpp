// Convolution as a product, where it is not direct: an image is unfolded into one column for each output, of all that its window
// covers.
#include "kernels/conv.h"

#include <algorithm>
#include <type_traits>

#include "core/parallel_for.h"
#include "kernels/cpu/direct_conv.h"
#include "kernels/cpu/workspace.h"
#include "kernels/gemm.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

// What each element of a column is to the image. `columns` is [channels * kernel, out].
//
// Calls run(image, column, count) for each run of `count` outputs that take image[0], image[stride], ... as their element
// of a column, and outside(column, count) for each run whose element is padding: before or after it, as `outside_first` says,
// because a run may go over elements that are outside.
template <typename I, typename C, typename F, typename G>
void for_each_window_run(const Window& w, std::int64_t channels, I* image, C* columns, bool outside_first,
                         F run, G outside) {
  const auto &y = w.y, &x = w.x;
  // Rows of outputs then follow one another as the rows of the image do: all are one run, over the ends of its rows.
  const bool rows_join = x.stride == 1 && y.stride == 1 && x.out == x.in;
  for (std::int64_t c = 0; c < channels; ++c, image += w.in()) {
    for (std::int64_t ky = 0; ky < y.kernel; ++ky) {
      const std::int64_t top = y.first_inside(ky), bottom = y.end_inside(ky);
      for (std::int64_t kx = 0; kx < x.kernel; ++kx, columns += w.out()) {
        const std::int64_t left = x.first_inside(kx), right = x.end_inside(kx),
                           joined = rows_join ? bottom - top : 1;
        const auto runs = [&] {
          for (std::int64_t oy = top; oy < bottom && left < right; oy += joined) {
            run(image + y.input(oy, ky) * x.in + x.input(left, kx), columns + oy * x.out + left,
                (joined - 1) * x.out + right - left);
          }
        };
        if (!outside_first) runs();
        outside(columns, top * x.out);
        for (std::int64_t oy = top; oy < bottom; ++oy) {
          outside(columns + oy * x.out, left);
          outside(columns + oy * x.out + right, x.out - right);
        }
        outside(columns + bottom * x.out, (y.out - bottom) * x.out);
        if (outside_first) runs();
      }
    }
  }
}

template <typename T>
void clear(T* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) x[i] = T(0);
}

template <typename T>
TUTTI_MULTIVERSION void take(const T* from, std::int64_t stride, T* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i * stride];
}

template <typename T>
TUTTI_MULTIVERSION void add(T* to, const T* from, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
}

template <typename T>
void unfold(const Window& w, std::int64_t channels, const T* image, T* columns) {
  const std::int64_t stride = w.x.stride;
  for_each_window_run(
      w, channels, image, columns, false,
      [stride](const T* from, T* to, std::int64_t count) {
        stride == 1 ? void(std::copy_n(from, count, to)) : take(from, stride, to, count);
      },
      clear<T>);
}

// The reverse: adds each element of the columns to the image where it came from. Those of padding become 0.
template <typename T>
void fold(const Window& w, std::int64_t channels, T* image, T* columns) {
  const std::int64_t stride = w.x.stride;
  for_each_window_run(
      w, channels, image, columns, true,
      [stride](T* to, const T* from, std::int64_t count) {
        if (stride == 1) return add(to, from, count);
        for (std::int64_t i = 0; i < count; ++i) to[i * stride] += from[i];
      },
      clear<T>);
}

bool is_pointwise(const WindowDim& d) { return d.kernel == 1 && d.stride == 1 && d.padding == 0; }

// A group of an image as columns; of a 1 x 1 kernel they are the image itself.
template <typename T>
class Columns {
 public:
  explicit Columns(const ConvArgs& args)
      : args_(args),
        pointwise_(is_pointwise(args.window.y) && is_pointwise(args.window.x)),
        scratch_(pointwise_ ? 0 : args.in * args.window.kernel() * args.window.out()) {}

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
  Workspace<T> scratch_;
};

std::int64_t piece_of(const ConvArgs& a) {
  return piece_images(a.n, a.groups * a.out * a.in * a.window.kernel() * a.window.out());
}

template <typename T>
void forward(const ConvArgs& a, const T* images, const T* weight, const T* bias, T* results) {
  const std::int64_t outputs = a.window.out(), taps = a.in * a.window.kernel();
  parallel_for(a.n, piece_of(a), [&](std::int64_t first, std::int64_t last) {
    Columns<T> columns(a);
    for (std::int64_t i = first * a.groups; i < last * a.groups; ++i) {
      const std::int64_t channel = i % a.groups * a.out;
      T* out = results + i * a.out * outputs;
      if (bias) {
        for (std::int64_t o = 0; o < a.out; ++o) std::fill_n(out + o * outputs, outputs, bias[channel + o]);
      }
      gemm<T>({false, false, a.out, outputs, taps, weight + channel * taps, taps,
               columns.of(images + i * a.in * a.window.in()), outputs, bias ? T(1) : T(0), out, outputs});
    }
  });
}

template <typename T>
void grad_of_images(const ConvArgs& a, const T* g, const T* weight, T* dx) {
  const std::int64_t outputs = a.window.out(), taps = a.in * a.window.kernel(), inputs = a.in * a.window.in();
  parallel_for(a.n, piece_of(a), [&](std::int64_t first, std::int64_t last) {
    Columns<T> columns(a);
    for (std::int64_t i = first * a.groups; i < last * a.groups; ++i) {
      T* image = dx + i * inputs;
      T* to = columns.pointwise() ? image : columns.scratch();
      gemm<T>({true, false, taps, outputs, a.out, weight + i % a.groups * a.out * taps, taps,
               g + i * a.out * outputs, outputs, T(0), to, outputs});
      if (columns.pointwise()) continue;
      std::fill_n(image, inputs, T(0));
      fold(a.window, a.in, image, columns.scratch());
    }
  });
}

// Of `images`, on this thread.
template <typename T>
void sum_of_images(const ConvArgs& a, std::int64_t images, const T* g, const T* x, T* sum) {
  if constexpr (std::is_same_v<T, float>) {
    if (is_direct(a)) return direct_conv_grad_weight(a, images, g, x, sum);
  }
  const std::int64_t outputs = a.window.out(), taps = a.in * a.window.kernel(), inputs = a.in * a.window.in();
  Columns<T> columns(a);
  for (std::int64_t i = 0; i < images * a.groups; ++i) {
    gemm<T>({false, true, a.out, taps, outputs, g + i * a.out * outputs, outputs, columns.of(x + i * inputs),
             outputs, i < a.groups ? T(0) : T(1), sum + i % a.groups * a.out * taps, taps});
  }
}

// Each piece sums over its images, and then the pieces' sums are added; of large weights there are few.
template <typename T>
void grad_of_weight(const ConvArgs& a, const T* g, const T* x, T* dweight) {
  const std::int64_t size = a.groups * a.out * a.in * a.window.kernel();
  const std::int64_t most =
      std::max<std::int64_t>(1, (std::int64_t{1} << 22) / std::max<std::int64_t>(1, size));
  const std::int64_t grain = std::max(piece_of(a), (a.n + most - 1) / most);
  const std::int64_t pieces = (a.n + grain - 1) / grain;
  Workspace<T> sums((pieces - 1) * size);
  parallel_for(a.n, grain, [&](std::int64_t first, std::int64_t last) {
    sum_of_images(a, last - first, g + first * a.groups * a.out * a.window.out(),
                  x + first * a.groups * a.in * a.window.in(),
                  first == 0 ? dweight : sums.data() + (first / grain - 1) * size);
  });
  for (std::int64_t piece = 0; piece + 1 < pieces; ++piece) {
    const T* sum = sums.data() + piece * size;
    for (std::int64_t k = 0; k < size; ++k) dweight[k] += sum[k];
  }
}

}  // namespace

void Conv2d::cpu(const ConvArgs& args, const void* x, const void* weight, const void* bias, void* out) {
  const auto run = [&]<typename T>(T) {
    const T *from = static_cast<const T*>(x), *w = static_cast<const T*>(weight),
            *b = static_cast<const T*>(bias);
    if constexpr (std::is_same_v<T, float>) {
      if (is_direct(args)) return direct_conv(args, from, w, b, static_cast<T*>(out));
    }
    forward(args, from, w, b, static_cast<T*>(out));
  };
  args.dtype == DType::f64 ? run(double{}) : run(float{});
}

void Conv2dGrad::cpu(const ConvArgs& args, const void* g, const void* x, const void* weight, void* dx,
                     void* dweight) {
  const auto run = [&]<typename T>(T) {
    const T *gradient = static_cast<const T*>(g), *from = static_cast<const T*>(x),
            *w = static_cast<const T*>(weight);
    T *to = static_cast<T*>(dx), *of_weight = static_cast<T*>(dweight);
    if (of_weight) grad_of_weight(args, gradient, from, of_weight);
    if constexpr (std::is_same_v<T, float>) {
      if (to && is_direct(args) && args.window.y.stride == 1 && args.window.x.stride == 1)
        return direct_conv_grad_images(args, gradient, w, to);
    }
    if (to) grad_of_images(args, gradient, w, to);
  };
  args.dtype == DType::f64 ? run(double{}) : run(float{});
}

}  // namespace tutti::kernels
