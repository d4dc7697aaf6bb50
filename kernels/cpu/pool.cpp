#include "kernels/pool.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/parallel_for.h"
#include "kernels/cpu/vector.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

struct Range {
  std::int64_t begin, end;
};

// The inputs of an output's window that lie within the plane.
Range window_of(const WindowDim& d, std::int64_t output) {
  return {std::max<std::int64_t>(d.input(output, 0), 0), std::min(d.input(output, d.kernel), d.in)};
}

// Planes that make a piece for a thread.
std::int64_t piece_planes(const Window& w) { return piece_rows(w.out() * w.kernel()); }

// Calls f(output, rows, columns) for each output of a plane, with its window.
template <typename F>
void for_each_output(const Window& w, F f) {
  for (std::int64_t oy = 0, o = 0; oy < w.y.out; ++oy) {
    const Range rows = window_of(w.y, oy);
    for (std::int64_t ox = 0; ox < w.x.out; ++ox, ++o) f(o, rows, window_of(w.x, ox));
  }
}

// NaN counts as largest.
template <typename T, typename I>
TUTTI_INLINE void take_larger(const T& value, const I& at, T& best, I& index) {
  const auto larger = (value > best) | (value != value);
  index = larger ? at : index;
  best = larger ? value : best;
}

template <typename T>
TUTTI_INLINE void max_of_window(const Window& w, const T* plane, Range rows, Range columns, T& out,
                                std::int32_t& index) {
  auto at = static_cast<std::int32_t>(rows.begin * w.x.in + columns.begin);
  T best = plane[at];
  for (std::int64_t y = rows.begin; y < rows.end; ++y) {
    for (std::int64_t i = y * w.x.in + columns.begin; i < y * w.x.in + columns.end; ++i)
      take_larger(plane[i], static_cast<std::int32_t>(i), best, at);
  }
  out = best;
  index = at;
}

using Indices = std::int32_t __attribute__((vector_size(lanes * sizeof(std::int32_t))));

constexpr std::int64_t widest = 8;  // kernel of a row that is narrower than a vector

// Of `lanes` neighbouring outputs, or `count`, which are fewer and whose rows are copied, lest more is read than there is. Their
// windows lie within the columns and begin at `first`; of strides 1 and 2.
template <bool Whole>
TUTTI_INLINE void max_of_windows(const Window& w, const float* plane, Range rows, std::int64_t first,
                                 std::int64_t count, float* copy, float* out, std::int32_t* index) {
  const auto stride = static_cast<std::int32_t>(w.x.stride);
  const Indices steps = Indices{0, 1, 2, 3, 4, 5, 6, 7} * stride;
  std::int64_t from = rows.begin * w.x.in + first;
  Indices at = steps + static_cast<std::int32_t>(from);
  Vector best = Vector{} - std::numeric_limits<float>::infinity();
  for (std::int64_t y = rows.begin; y < rows.end; ++y) {
    from = y * w.x.in + first;
    const float* row = plane + from;
    if constexpr (!Whole) {
      for (std::int64_t i = 0; i < (count - 1) * stride + w.x.kernel; ++i) copy[i] = row[i];
      row = copy;
    }
    for (std::int64_t kx = 0; kx < w.x.kernel; ++kx) {
      Vector value;
      stride == 1 ? load(value, row + kx) : load_every_second(value, row + kx);
      take_larger(value, steps + static_cast<std::int32_t>(from + kx), best, at);
    }
  }
  store(best, Whole ? lanes : count, out);
  for (std::int64_t i = 0; i < (Whole ? lanes : count); ++i) index[i] = at[i];
}

template <typename T>
TUTTI_MULTIVERSION void max_pool(const Window& w, const T* plane, T* out, std::int32_t* index) {
  const std::int64_t left = w.x.first_inside(0), right = w.x.end_inside(w.x.kernel - 1);
  const bool by_vectors = w.x.stride <= 2 && (right - left >= lanes || w.x.kernel <= widest);
  float copy[2 * lanes + widest] = {};
  for (std::int64_t oy = 0; oy < w.y.out; ++oy, out += w.x.out, index += w.x.out) {
    const Range rows = window_of(w.y, oy);
    std::int64_t ox = 0;
    if constexpr (std::is_same_v<T, float>) {
      if (by_vectors) {
        for (; ox < left; ++ox) max_of_window(w, plane, rows, window_of(w.x, ox), out[ox], index[ox]);
        if (const std::int64_t count = right - left; count < lanes) {
          if (count > 0)
            max_of_windows<false>(w, plane, rows, w.x.input(ox, 0), count, copy, out + ox, index + ox);
          ox = right;
        }
        for (; ox < right; ox += lanes) {
          ox = std::min(ox, right - lanes);
          max_of_windows<true>(w, plane, rows, w.x.input(ox, 0), lanes, copy, out + ox, index + ox);
        }
      }
    }
    for (; ox < w.x.out; ++ox) max_of_window(w, plane, rows, window_of(w.x, ox), out[ox], index[ox]);
  }
}

}  // namespace

void MaxPool2d::cpu(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out,
                    std::int32_t* index) {
  const auto run = [&]<typename T>(T) {
    parallel_for(planes, piece_planes(window), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t p = first; p < last; ++p) {
        const std::int64_t at = p * window.out();
        max_pool(window, static_cast<const T*>(x) + p * window.in(), static_cast<T*>(out) + at, index + at);
      }
    });
  };
  dtype == DType::f64 ? run(double{}) : run(float{});
}

void MaxPool2dGrad::cpu(DType dtype, const Window& window, std::int64_t planes, const void* g,
                        const std::int32_t* index, void* dx) {
  const auto run = [&]<typename T>(T) {
    parallel_for(planes, piece_planes(window), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t p = first; p < last; ++p) {
        T* plane = static_cast<T*>(dx) + p * window.in();
        std::fill_n(plane, window.in(), T(0));
        for (std::int64_t o = p * window.out(); o < (p + 1) * window.out(); ++o)
          plane[index[o]] += static_cast<const T*>(g)[o];
      }
    });
  };
  dtype == DType::f64 ? run(double{}) : run(float{});
}

void AvgPool2d::cpu(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out) {
  const auto run = [&]<typename T>(T) {
    const T scale = T(1) / static_cast<T>(window.kernel());
    parallel_for(planes, piece_planes(window), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t p = first; p < last; ++p) {
        const T* plane = static_cast<const T*>(x) + p * window.in();
        for_each_output(window, [&](std::int64_t o, Range rows, Range columns) {
          T sum = 0;
          for (std::int64_t i = rows.begin; i < rows.end; ++i) {
            for (std::int64_t j = columns.begin; j < columns.end; ++j) sum += plane[i * window.x.in + j];
          }
          static_cast<T*>(out)[p * window.out() + o] = sum * scale;
        });
      }
    });
  };
  dtype == DType::f64 ? run(double{}) : run(float{});
}

void AvgPool2dGrad::cpu(DType dtype, const Window& window, std::int64_t planes, const void* g, void* dx) {
  const auto run = [&]<typename T>(T) {
    const T scale = T(1) / static_cast<T>(window.kernel());
    parallel_for(planes, piece_planes(window), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t p = first; p < last; ++p) {
        const T* from = static_cast<const T*>(g) + p * window.out();
        T* plane = static_cast<T*>(dx) + p * window.in();
        std::fill_n(plane, window.in(), T(0));
        for_each_output(window, [&](std::int64_t o, Range rows, Range columns) {
          for (std::int64_t i = rows.begin; i < rows.end; ++i) {
            for (std::int64_t j = columns.begin; j < columns.end; ++j)
              plane[i * window.x.in + j] += from[o] * scale;
          }
        });
      }
    });
  };
  dtype == DType::f64 ? run(double{}) : run(float{});
}

}  // namespace tutti::kernels
