// Norms of gradients, and what is done about them.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/parallel_for.h"
#include "kernels/cpu/lanes.h"
#include "kernels/multiversion.h"
#include "kernels/optim.h"
#include "tutti/core/tree.h"

namespace tutti::kernels {
namespace {

template <typename F>
void visit_float(DType dtype, F&& f) {
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_integral_v<T>) f.template operator()<T>();
  });
}

template <typename T>
TUTTI_MULTIVERSION double squares(const T* x, std::int64_t n) {
  return lane_sum<double>(
      n, [x](std::int64_t i) { return static_cast<double>(x[i]) * static_cast<double>(x[i]); });
}

template <typename T>
TUTTI_MULTIVERSION void scale(T* x, double factor, std::int64_t n) {
  using C = std::conditional_t<sizeof(T) == 2, float, T>;
  const auto by = static_cast<C>(factor);
  for (std::int64_t i = 0; i < n; ++i) x[i] = T(by * static_cast<C>(x[i]));
}

}  // namespace

void SumSquares::cpu(std::span<const SquaresArgs> tensors) {
  for (const auto& args : tensors) {
    visit_float(args.dtype, [&]<typename T>() {
      const auto* x = static_cast<const T*>(args.x);
      parallel_for(args.count, piece_elements, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t first = begin; first < end; first += chunk)
          args.sums[first / chunk] = squares(x + first, std::min(chunk, end - first));
      });
    });
  }
}

void NormOfSums::cpu(const double* sums, std::int64_t count, double* norm) {
  *norm = std::sqrt(tree_sum(std::span(sums, static_cast<std::size_t>(count))));
}

void Clip::cpu(std::span<const ClipArgs> tensors, double max_norm, const double* norm) {
  const double factor = max_norm / (*norm + 1e-6);
  if (factor >= 1) return;
  for (const auto& args : tensors) {
    visit_float(args.dtype, [&]<typename T>() {
      auto* x = static_cast<T*>(args.x);
      parallel_for(args.count, piece_elements,
                   [&](std::int64_t first, std::int64_t last) { scale(x + first, factor, last - first); });
    });
  }
}

}  // namespace tutti::kernels
