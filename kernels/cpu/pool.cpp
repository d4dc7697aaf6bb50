#include "kernels/pool.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "core/parallel_for.h"
#include "kernels/cpu/vector_math.h"
#include "kernels/cpu/workspace.h"
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

template <typename T, typename Stride>
TUTTI_INLINE void take_larger(const T* __restrict x, Stride stride, std::int32_t from, T* __restrict best,
                              std::int32_t* __restrict index, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T value = x[i * stride];
    const bool larger = (value > best[i]) | (value != value);
    index[i] = larger ? from + static_cast<std::int32_t>(i * stride) : index[i];
    best[i] = larger ? value : best[i];
  }
}

// Takes the elements x[0], x[stride], ..., that stand at `from`, where they are larger than those so far. The usual
// strides are constants, which a compiler can vectorise.
template <typename T>
TUTTI_MULTIVERSION void take_larger_of(const T* x, std::int64_t stride, std::int32_t from, T* best,
                                       std::int32_t* index, std::int64_t n) {
  switch (stride) {
    case 1:
      return take_larger(x, std::integral_constant<std::int64_t, 1>(), from, best, index, n);
    case 2:
      return take_larger(x, std::integral_constant<std::int64_t, 2>(), from, best, index, n);
    default:
      return take_larger(x, stride, from, best, index, n);
  }
}

// The outputs of a row whose window has its element kx within the plane, for each kx.
std::vector<Range> ranges_of_row(const WindowDim& d) {
  std::vector<Range> ranges;
  for (std::int64_t kx = 0; kx < d.kernel; ++kx) ranges.push_back({d.first_inside(kx), d.end_inside(kx)});
  return ranges;
}

// A row of outputs at a time, element by element of the window. NaN counts as largest. `at` has room for a row.
template <typename T>
void max_pool(const Window& w, const std::vector<Range>& row, const T* plane, T* out, std::int64_t* index,
              std::int32_t* at) {
  for (std::int64_t oy = 0; oy < w.y.out; ++oy, out += w.x.out, index += w.x.out) {
    const Range rows = window_of(w.y, oy);
    const std::int64_t origin = rows.begin * w.x.in;
    for (std::int64_t ox = 0; ox < w.x.out; ++ox) {
      at[ox] = static_cast<std::int32_t>(std::max<std::int64_t>(w.x.input(ox, 0), 0));
      out[ox] = plane[origin + at[ox]];
    }
    for (std::int64_t y = rows.begin; y < rows.end; ++y) {
      for (std::int64_t kx = 0; kx < w.x.kernel; ++kx) {
        const auto [first, end] = row[static_cast<std::size_t>(kx)];
        const std::int64_t from = y * w.x.in + w.x.input(first, kx);
        take_larger_of(plane + from, w.x.stride, static_cast<std::int32_t>(from - origin), out + first,
                       at + first, end - first);
      }
    }
    for (std::int64_t ox = 0; ox < w.x.out; ++ox) index[ox] = origin + at[ox];
  }
}

}  // namespace

void MaxPool2d::cpu(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out,
                    std::int64_t* index) {
  const auto run = [&]<typename T>(T) {
    parallel_for(planes, piece_planes(window), [&](std::int64_t first, std::int64_t last) {
      const auto row = ranges_of_row(window.x);
      Workspace<std::int32_t> memory(window.x.out);
      for (std::int64_t p = first; p < last; ++p) {
        const std::int64_t at = p * window.out();
        max_pool(window, row, static_cast<const T*>(x) + p * window.in(), static_cast<T*>(out) + at,
                 index + at, memory.data());
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
