// Filling, copying with conversion, and scaled addition in place.
#include <cstring>

#include "kernels/cpu/elementwise_ops.h"
#include "kernels/cpu/strided.h"
#include "kernels/elementwise.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

template <typename To, typename From>
TUTTI_INLINE To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (sizeof(To) == 2) {  // bf16, f16
    return To(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bool>) {
    return static_cast<Compute<From>>(value) != Compute<From>(0);
  } else {
    return static_cast<To>(static_cast<Compute<From>>(value));
  }
}

template <typename T>
TUTTI_MULTIVERSION void add_dense(T* out, const T* x, T alpha, T beta, std::int64_t n) {
  if (beta == T(0)) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = alpha * x[i];
  } else {
    for (std::int64_t i = 0; i < n; ++i) out[i] = beta * out[i] + alpha * x[i];
  }
}

template <typename To, typename From>
void copy_run(std::array<char*, 2> p, std::int64_t n, const std::array<std::int64_t, 2>& step) {
  if constexpr (std::is_same_v<To, From>) {
    if (step[0] == sizeof(To) && step[1] == sizeof(To)) {
      std::memcpy(p[0], p[1], static_cast<std::size_t>(n) * sizeof(To));
      return;
    }
  }
  for (; n > 0; --n, p[0] += step[0], p[1] += step[1]) {
    *reinterpret_cast<To*>(p[0]) = convert<To>(*reinterpret_cast<const From*>(p[1]));
  }
}

template <typename T>
void add_scaled(const Shape& shape, const MutableOperand& out, const Operand& x, double alpha, double beta) {
  using C = Compute<T>;
  const C a = static_cast<C>(alpha);
  const C b = static_cast<C>(beta);
  for_each_run<2>(
      shape, {static_cast<char*>(out.data), static_cast<char*>(const_cast<void*>(x.data))},
      {&out.strides, &x.strides}, {sizeof(T), sizeof(T)}, [a, b](auto p, std::int64_t n, auto step) {
        if constexpr (std::floating_point<T>) {
          if (step[0] == sizeof(T) && step[1] == sizeof(T)) {
            return add_dense<T>(reinterpret_cast<T*>(p[0]), reinterpret_cast<const T*>(p[1]), a, b, n);
          }
        }
        for (; n > 0; --n, p[0] += step[0], p[1] += step[1]) {
          auto& element = *reinterpret_cast<T*>(p[0]);
          const C added = static_cast<C>(a * static_cast<C>(*reinterpret_cast<const T*>(p[1])));
          element = T(b == C(0) ? added : static_cast<C>(b * static_cast<C>(element) + added));
        }
      });
}

}  // namespace

void Fill::cpu(DType dtype, const Shape& shape, const MutableOperand& out, double value) {
  visit_dtype(dtype, [&]<typename T>() {
    const T element = convert<T>(value);
    for_each_run<1>(shape, {static_cast<char*>(out.data)}, {&out.strides}, {sizeof(T)},
                    [element](auto p, std::int64_t n, auto step) {
                      for (; n > 0; --n, p[0] += step[0]) *reinterpret_cast<T*>(p[0]) = element;
                    });
  });
}

void Arange::cpu(DType dtype, void* out, std::int64_t count, double start, double step) {
  visit_dtype(dtype, [&]<typename T>() {
    auto* elements = static_cast<T*>(out);
    for (std::int64_t i = 0; i < count; ++i) elements[i] = convert<T>(start + static_cast<double>(i) * step);
  });
}

void Copy::cpu(const Shape& shape, DType to, const MutableOperand& out, DType from, const Operand& x) {
  visit_dtype(to, [&]<typename To>() {
    visit_dtype(from, [&]<typename From>() {
      for_each_run<2>(shape, {static_cast<char*>(out.data), static_cast<char*>(const_cast<void*>(x.data))},
                      {&out.strides, &x.strides}, {sizeof(To), sizeof(From)}, copy_run<To, From>);
    });
  });
}

void AddScaled::cpu(DType dtype, const Shape& shape, const MutableOperand& out, const Operand& x,
                    double alpha, double beta) {
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_same_v<T, bool>) add_scaled<T>(shape, out, x, alpha, beta);
  });
}

}  // namespace tutti::kernels
