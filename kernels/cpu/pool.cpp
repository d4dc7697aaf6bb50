#include "kernels/pool.h"

#include <algorithm>

namespace tutti::kernels {
namespace {

// Calls f(output, rows, columns) for each output of a plane, with the ranges [begin, end) of its window that
// lie within the plane.
struct Range {
  std::int64_t begin, end;

  Range(const WindowDim& d, std::int64_t output)
      : begin(std::max<std::int64_t>(d.input(output, 0), 0)),
        end(std::min(d.input(output, d.kernel), d.in)) {}
};

template <typename F>
void for_each_output(const Window& w, F f) {
  for (std::int64_t oy = 0, o = 0; oy < w.y.out; ++oy) {
    const Range rows(w.y, oy);
    for (std::int64_t ox = 0; ox < w.x.out; ++ox, ++o) f(o, rows, Range(w.x, ox));
  }
}

}  // namespace

void MaxPool2d::cpu(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out,
                    std::int64_t* index) {
  const auto run = [&]<typename T>(T) {
    const T* plane = static_cast<const T*>(x);
    T* to = static_cast<T*>(out);
    for (std::int64_t p = 0; p < planes;
         ++p, plane += window.in(), to += window.out(), index += window.out()) {
      for_each_output(window, [&](std::int64_t o, Range rows, Range columns) {
        std::int64_t best = rows.begin * window.x.in + columns.begin;
        for (std::int64_t i = rows.begin; i < rows.end; ++i) {
          for (std::int64_t j = columns.begin; j < columns.end; ++j) {
            const std::int64_t at = i * window.x.in + j;
            if (plane[at] > plane[best] || plane[at] != plane[at]) best = at;
          }
        }
        to[o] = plane[best];
        index[o] = best;
      });
    }
  };
  dtype == DType::f64 ? run(double{}) : run(float{});
}

void AvgPool2d::cpu(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out) {
  const auto run = [&]<typename T>(T) {
    const T scale = T(1) / static_cast<T>(window.kernel());
    const T* plane = static_cast<const T*>(x);
    T* to = static_cast<T*>(out);
    for (std::int64_t p = 0; p < planes; ++p, plane += window.in(), to += window.out()) {
      for_each_output(window, [&](std::int64_t o, Range rows, Range columns) {
        T sum = 0;
        for (std::int64_t i = rows.begin; i < rows.end; ++i) {
          for (std::int64_t j = columns.begin; j < columns.end; ++j) sum += plane[i * window.x.in + j];
        }
        to[o] = sum * scale;
      });
    }
  };
  dtype == DType::f64 ? run(double{}) : run(float{});
}

void AvgPool2dGrad::cpu(DType dtype, const Window& window, std::int64_t planes, const void* g, void* dx) {
  const auto run = [&]<typename T>(T) {
    const T scale = T(1) / static_cast<T>(window.kernel());
    const T* from = static_cast<const T*>(g);
    T* plane = static_cast<T*>(dx);
    std::fill_n(plane, planes * window.in(), T(0));
    for (std::int64_t p = 0; p < planes; ++p, plane += window.in(), from += window.out()) {
      for_each_output(window, [&](std::int64_t o, Range rows, Range columns) {
        for (std::int64_t i = rows.begin; i < rows.end; ++i) {
          for (std::int64_t j = columns.begin; j < columns.end; ++j)
            plane[i * window.x.in + j] += from[o] * scale;
        }
      });
    }
  };
  dtype == DType::f64 ? run(double{}) : run(float{});
}

}  // namespace tutti::kernels
