// Convolution as a product of the weight and columns, a piece of the batch at a time. Where rows of results are aligned, images
// are multiplied where they lie, each a matrix of a batch; else those of a piece share a matrix, whose rows are.
#include "kernels/conv.h"

#include <string>
#include <type_traits>

#include "kernels/cuda/depthwise.cuh"
#include "kernels/cuda/floats.h"
#include "kernels/cuda/image_columns.cuh"
#include "kernels/cuda/workspace.h"
#include "kernels/elementwise.h"
#include "kernels/matmul.h"
#include "tutti/core/error.h"

namespace tutti::kernels {
namespace {

constexpr std::int64_t most_sums = std::int64_t{1} << 24;  // of a weight's gradient
constexpr std::int64_t most_units = 16;
constexpr std::int64_t narrow = 64;  // outputs, too few for a matrix

// A matrix for each unit and group.
struct Batched {
  const void* data;
  std::int64_t of_unit, of_group, ld;  // distances
};

struct Product {
  DType dtype;
  std::int64_t units, groups, m, n, k;
  Batched a, b, out;
  bool a_transposed = false, b_transposed = false;
  double beta = 0;
  bool tf32 = false;
};

// A call for each group, or for each unit if they are fewer.
void multiply(const Product& p) {
  const bool by_unit = p.units <= p.groups;
  const auto address = [&](const Batched& one, std::int64_t i) {
    return static_cast<const std::byte*>(one.data) +
           i * (by_unit ? one.of_unit : one.of_group) * static_cast<std::int64_t>(size_of(p.dtype));
  };
  const auto distance = [&](const Batched& one) { return by_unit ? one.of_group : one.of_unit; };
  for (std::int64_t i = 0; i < (by_unit ? p.units : p.groups); ++i) {
    Matmul::cuda({p.dtype, by_unit ? p.groups : p.units, p.m, p.n, p.k, address(p.a, i), p.a.ld,
                  distance(p.a), p.a_transposed, address(p.b, i), p.b.ld, distance(p.b), p.b_transposed,
                  const_cast<std::byte*>(address(p.out, i)), p.out.ld, distance(p.out), p.beta, p.tf32});
  }
}

template <typename T, typename S>
__global__ void add_units_kernel(const int units, const std::int64_t size, const S* __restrict__ sums,
                                 T* out) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= size) return;
  S total = sums[i];
  for (int unit = 1; unit < units; ++unit) total += sums[unit * size + i];
  out[i] = T(total);
}

template <typename S, typename T>
__global__ void accumulate_kernel(const bool adds, const std::int64_t size, const T* __restrict__ products,
                                  S* sums) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < size) sums[i] = (adds ? sums[i] : S(0)) + static_cast<S>(products[i]);
}

template <typename T>
class Convolution {
  using S = Arithmetic<T>;                               // of sums
  static constexpr bool rounds = !std::is_same_v<S, T>;  // products to fewer digits than sums have

 public:
  explicit Convolution(const ConvArgs& args)
      : a_(args),
        outputs_(args.window.out()),
        taps_(args.in * args.window.kernel()),
        columns_of_(args.groups * taps_),
        weights_(args.groups * args.out * taps_) {
    const auto is_pointwise = [](const WindowDim& d) {
      return d.kernel == 1 && d.stride == 1 && d.padding == 0;
    };
    pointwise_ = is_pointwise(a_.window.y) && is_pointwise(a_.window.x);
    const bool aligned = outputs_ * sizeof(T) % 16 == 0;
    in_place_ = pointwise_ ? aligned || sizeof(T) >= 4 : aligned && outputs_ >= narrow && a_.groups == 1;
  }

  void forward(const T* x, const T* weight, const T* bias, T* out) const {
    const std::int64_t results_of = a_.groups * a_.out;
    if (in_place_ && bias) {
      const auto dtype = dtype_of<T>;
      Copy::cuda({a_.n, results_of, outputs_}, dtype, {out, {results_of * outputs_, outputs_, 1}}, dtype,
                 {bias, {0, 1, 0}});
    }
    for_pieces(columns_of_ + (in_place_ ? 0 : results_of), [&](const ImageUnits& u, T* columns) {
      T* results = columns + u.units * columns_of_ * u.ld;
      const Batched from = in_place_ && pointwise_ ? images(x, u.first, a_.in) : unfolded(x, u, columns);
      const Batched to = in_place_ ? images(out, u.first, a_.out) : rows(results, u, a_.out);
      multiply({.dtype = dtype_of<T>,
                .units = u.units,
                .groups = a_.groups,
                .m = a_.out,
                .n = u.each * outputs_,
                .k = taps_,
                .a = factor(weight),
                .b = from,
                .out = to,
                .beta = in_place_ && bias ? 1.0 : 0.0,
                .tf32 = a_.tf32});
      if (!in_place_) run_rows(name, place_kernel<T>, a_.window, u, outputs_, results_of, results, bias, out);
    });
  }

  void grad_of_images(const T* g, const T* weight, T* dx) const {
    for_pieces(columns_of_ + (in_place_ ? 0 : a_.groups * a_.out), [&](const ImageUnits& u, T* columns) {
      const bool direct = in_place_ && pointwise_;
      const Batched from =
          in_place_ ? images(g, u.first, a_.out) : gathered(g, u, columns + u.units * columns_of_ * u.ld);
      const Batched to = direct ? images(dx, u.first, a_.in) : rows(columns, u, taps_);
      multiply({.dtype = dtype_of<T>,
                .units = u.units,
                .groups = a_.groups,
                .m = taps_,
                .n = u.each * outputs_,
                .k = a_.out,
                .a = factor(weight),
                .b = from,
                .out = to,
                .a_transposed = true,
                .tf32 = a_.tf32});
      if (!direct)
        run_rows(name, fold_kernel<T>, a_.window, u, a_.window.in(), a_.groups * a_.in, columns, dx);
    });
  }

  // Units of images have a sum each; then the units are added.
  void grad_of_weight(const T* g, const T* x, T* dweight) const {
    const std::int64_t of_unit = images_of_unit(), units = (a_.n + of_unit - 1) / of_unit;
    const bool is_one = units == 1 && std::is_same_v<T, S>;
    const DeviceWorkspace memory(is_one ? 0 : sizeof(S) * static_cast<std::size_t>(units * weights_));
    S* sums = is_one ? reinterpret_cast<S*>(dweight) : memory.as<S>();
    const DeviceWorkspace products(rounds ? bytes(units * weights_) : 0);
    const bool direct = in_place_ && pointwise_;
    const std::int64_t rows_of = direct ? 0 : columns_of_ + a_.groups * a_.out;
    const std::int64_t most =
        direct ? of_unit * units
               : std::max<std::int64_t>(1, Conv2d::workspace_bytes / bytes(rows_of * outputs_));
    const std::int64_t together = std::min(units, most);
    const std::int64_t each = direct ? 1 : std::clamp<std::int64_t>(most / together, 1, of_unit);
    const DeviceWorkspace columns(bytes(together * rows_of * ld_of(each)));
    for (std::int64_t unit = 0; unit < units; unit += together) {
      for (std::int64_t i = 0; i < of_unit; i += each) {
        const std::int64_t first = unit * of_unit + i, count = std::min(each, of_unit - i);
        if (first >= a_.n) break;
        // The last unit may have fewer images.
        const std::int64_t now =
            std::min(std::min(together, units - unit), (a_.n - first + of_unit - 1) / of_unit);
        const ImageUnits u{first, of_unit, now, count, a_.n, ld_of(count)};
        T* results = columns.as<T>() + now * columns_of_ * u.ld;
        Batched from = direct ? images(g, first, a_.out) : gathered(g, u, results);
        Batched to = direct ? images(x, first, a_.in) : unfolded(x, u, columns.as<T>());
        if (direct) from.of_unit *= of_unit, to.of_unit *= of_unit;
        S* sum = sums + unit * weights_;
        const bool adds = i > 0 && !rounds;
        multiply({.dtype = dtype_of<T>,
                  .units = now,
                  .groups = a_.groups,
                  .m = a_.out,
                  .n = taps_,
                  .k = count * outputs_,
                  .a = from,
                  .b = to,
                  .out = {rounds ? products.as<void>() : sum, weights_, a_.out * taps_, taps_},
                  .b_transposed = true,
                  .beta = adds ? 1.0 : 0.0,
                  .tf32 = a_.tf32});
        if constexpr (rounds) {
          run(name, accumulate_kernel<S, T>, grid(now * weights_), i > 0, now * weights_, products.as<T>(),
              sum);
        }
      }
    }
    if (!is_one) add_units(units, sums, dweight);
  }

  void depthwise(const T* x, const T* weight, const T* bias, T* out) const {
    const std::int64_t channels = a_.groups * a_.out;
    depthwise_pieces([&](std::int64_t first, std::int64_t images) {
      const std::int64_t count = images * channels * outputs_;
      run(name, depthwise_kernel<T>, grid(count), GpuWindow(a_.window), Divisor(channels), Divisor(a_.out),
          static_cast<std::uint32_t>(count), x + first * a_.groups * a_.window.in(), weight, bias,
          out + first * channels * outputs_);
    });
  }

  void depthwise_grad_of_images(const T* g, const T* weight, T* dx) const {
    depthwise_pieces([&](std::int64_t first, std::int64_t images) {
      const std::int64_t count = images * a_.groups * a_.window.in();
      run(name, depthwise_grad_kernel<T>, grid(count), GpuWindow(a_.window), Divisor(a_.groups),
          static_cast<int>(a_.out), static_cast<std::uint32_t>(count),
          g + first * a_.groups * a_.out * outputs_, weight, dx + first * a_.groups * a_.window.in());
    });
  }

  void depthwise_grad_of_weight(const T* g, const T* x, T* dweight) const {
    const std::int64_t of_unit = images_of_unit(), units = (a_.n + of_unit - 1) / of_unit;
    const DeviceWorkspace sums(sizeof(S) * static_cast<std::size_t>(units * weights_));
    run(name, depthwise_weight_kernel<T>, {static_cast<unsigned>(units * weights_), depthwise_threads},
        GpuWindow(a_.window), a_.n, of_unit, static_cast<int>(a_.groups * a_.out), static_cast<int>(a_.out),
        g, x, sums.as<S>());
    add_units(units, sums.as<S>(), dweight);
  }

 private:
  static constexpr const char* name = Conv2d::name;

  // The weight as a factor.
  Batched factor(const T* weight) const { return {weight, 0, a_.out * taps_, taps_}; }

  static std::size_t bytes(std::int64_t count) { return static_cast<std::size_t>(count) * sizeof(T); }
  // Rows begin at 16 bytes.
  std::int64_t ld_of(std::int64_t images) const {
    constexpr std::int64_t n = in_16_bytes<T>;
    return (images * outputs_ + n - 1) / n * n;
  }
  std::int64_t images_of_unit() const {
    const std::int64_t units = std::clamp<std::int64_t>(most_sums / weights_, 1, most_units);
    return (a_.n + units - 1) / units;
  }

  // Calls f(units, workspace) for pieces of the batch that need `rows_of` rows of columns.
  template <typename F>
  void for_pieces(std::int64_t rows_of, F f) const {
    if (in_place_ && pointwise_)
      return f(ImageUnits{0, 1, a_.n, 1, a_.n, outputs_}, static_cast<T*>(nullptr));
    const std::int64_t most = Conv2d::workspace_bytes / static_cast<std::int64_t>(bytes(rows_of * outputs_));
    const std::int64_t piece = std::clamp<std::int64_t>(most, 1, a_.n);
    const DeviceWorkspace memory(bytes(rows_of * (in_place_ ? piece * outputs_ : ld_of(piece))));
    for (std::int64_t first = 0; first < a_.n; first += piece) {
      const std::int64_t count = std::min(piece, a_.n - first);
      f(in_place_ ? ImageUnits{first, 1, count, 1, a_.n, outputs_}
                  : ImageUnits{first, count, 1, count, a_.n, ld_of(count)},
        memory.as<T>());
    }
  }

  // Images from `first` on where they lie, of groups of `channels`.
  Batched images(const T* data, std::int64_t first, std::int64_t channels) const {
    const std::int64_t group = channels * outputs_, image = a_.groups * group;
    return {data + first * image, image, group, outputs_};
  }
  Batched rows(const T* data, const ImageUnits& u, std::int64_t of_group) const {
    return {data, a_.groups * of_group * u.ld, of_group * u.ld, u.ld};
  }
  Batched unfolded(const T* x, const ImageUnits& u, T* columns) const {
    run_rows(name, unfold_kernel<T>, a_.window, u, outputs_, a_.groups * a_.in, x, columns);
    return rows(columns, u, taps_);
  }
  Batched gathered(const T* g, const ImageUnits& u, T* to) const {
    const auto same = [](std::int64_t size) { return WindowDim{size, size, 1, 1, 0, 1}; };
    run_rows(name, unfold_kernel<T>, Window{same(a_.window.y.out), same(a_.window.x.out)}, u, outputs_,
             a_.groups * a_.out, g, to);
    return rows(to, u, a_.out);
  }

  void add_units(std::int64_t units, const S* sums, T* dweight) const {
    run(name, add_units_kernel<T, S>, grid(weights_), static_cast<int>(units), weights_, sums, dweight);
  }

  template <typename F>
  void depthwise_pieces(F f) const {
    const std::int64_t image = std::max(a_.groups * a_.out * outputs_, a_.groups * a_.window.in());
    if (image > most_indices) {
      throw ShapeError(std::string(name) + ": the channels of an image have at most " +
                       std::to_string(most_indices) + " elements on a GPU, not " + std::to_string(image));
    }
    const std::int64_t piece = std::max<std::int64_t>(1, most_indices / 2 / image);
    for (std::int64_t first = 0; first < a_.n; first += piece) f(first, std::min(piece, a_.n - first));
  }
  static Grid grid(std::int64_t count) {
    return {static_cast<unsigned>((count + depthwise_threads - 1) / depthwise_threads), depthwise_threads};
  }

  const ConvArgs& a_;
  std::int64_t outputs_, taps_, columns_of_, weights_;
  bool pointwise_, in_place_;
};

bool is_depthwise(const ConvArgs& a) { return a.in == 1 && a.groups > 1; }

}  // namespace

void Conv2d::cuda(const ConvArgs& args, const void* x, const void* weight, const void* bias, void* out) {
  check_sizes(name, args.window);
  visit_float(args.dtype, [&]<typename T>() {
    const Convolution<T> convolution(args);
    const auto *from = static_cast<const T*>(x), *w = static_cast<const T*>(weight),
               *b = static_cast<const T*>(bias);
    auto* to = static_cast<T*>(out);
    is_depthwise(args) ? convolution.depthwise(from, w, b, to) : convolution.forward(from, w, b, to);
  });
}

void Conv2dGrad::cuda(const ConvArgs& args, const void* g, const void* x, const void* weight, void* dx,
                      void* dweight) {
  check_sizes(name, args.window);
  visit_float(args.dtype, [&]<typename T>() {
    const Convolution<T> convolution(args);
    const auto *gradient = static_cast<const T*>(g), *from = static_cast<const T*>(x),
               *w = static_cast<const T*>(weight);
    auto *to = static_cast<T*>(dx), *of_weight = static_cast<T*>(dweight);
    if (is_depthwise(args)) {
      if (of_weight) convolution.depthwise_grad_of_weight(gradient, from, of_weight);
      if (to) convolution.depthwise_grad_of_images(gradient, w, to);
    } else {
      if (of_weight) convolution.grad_of_weight(gradient, from, of_weight);
      if (to) convolution.grad_of_images(gradient, w, to);
    }
  });
}

}  // namespace tutti::kernels
