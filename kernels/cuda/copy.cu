// Filling, copying with conversion, and scaled addition in place.
#include <bit>

#include "kernels/cuda/map.cuh"
#include "kernels/cuda/transpose.cuh"
#include "kernels/elementwise.h"

namespace tutti::kernels {
namespace {

template <typename T>
inline constexpr bool is_floating = std::is_floating_point_v<Arithmetic<T>>;

template <typename To, typename From>
__host__ __device__ To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (sizeof(To) == 2) {  // bf16, f16
    return To(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bool>) {
    return static_cast<Arithmetic<From>>(value) != Arithmetic<From>(0);
  } else {
    return static_cast<To>(static_cast<Arithmetic<From>>(value));
  }
}

template <typename T>
struct FillBody {
  T value;

  __device__ T operator()() const { return value; }
};

template <typename To>
struct ConvertBody {
  template <typename From>
  __device__ To operator()(From x) const {
    return convert<To>(x);
  }
};

// Of bf16 and f16 in f32. With beta 0 there is no `before`.
template <typename T>
struct AddScaledBody {
  using C = Arithmetic<T>;
  C alpha, beta;

  __device__ T operator()(T x) const { return T(static_cast<C>(alpha * static_cast<C>(x))); }
  __device__ T operator()(T before, T x) const {
    const C added = static_cast<C>(alpha * static_cast<C>(x));
    return T(static_cast<C>(beta * static_cast<C>(before) + added));
  }
};

template <typename T>
__global__ __launch_bounds__(map_threads) void arange_kernel(T* out, std::int64_t count, double start,
                                                             double step) {
  const std::int64_t i = std::int64_t{blockIdx.x} * map_threads + threadIdx.x;
  // Rounded twice, as on the CPU.
  if (i < count) out[i] = convert<T>(__dadd_rn(start, __dmul_rn(static_cast<double>(i), step)));
}

// Between the types of training by packs, between others one by one.
template <typename T>
inline constexpr bool is_common = is_floating<T> && sizeof(T) <= 4;

template <typename To, typename From>
void copy(const Shape& shape, const MutableOperand& out, const Operand& x) {
  const Map map(Copy::name, shape, Strided{static_cast<To*>(out.data), &out.strides},
                Strided{static_cast<const From*>(x.data), &x.strides});
  if constexpr (std::is_same_v<To, From>) {
    if (map.lie() == Lie::any) {
      if (const auto transposed = Transposition::of(map.layout())) {
        return run(Copy::name, transpose_kernel<To>,
                   {static_cast<unsigned>(transposed->blocks()), transpose_side * transpose_rows},
                   *transposed, static_cast<To*>(out.data), static_cast<const From*>(x.data));
      }
    }
  }
  if constexpr (std::is_same_v<To, From> || (is_common<To> && is_common<From>)) {
    map.run(ConvertBody<To>{});
  } else {
    map.run_any(ConvertBody<To>{});
  }
}

// Of elements that stay as they are.
void copy_words(std::size_t size, const Shape& shape, const MutableOperand& out, const Operand& x) {
  switch (size) {
    case 1:
      return copy<std::uint8_t, std::uint8_t>(shape, out, x);
    case 2:
      return copy<std::uint16_t, std::uint16_t>(shape, out, x);
    case 4:
      return copy<std::uint32_t, std::uint32_t>(shape, out, x);
    default:
      return copy<std::uint64_t, std::uint64_t>(shape, out, x);
  }
}

}  // namespace

void Fill::cuda(DType dtype, const Shape& shape, const MutableOperand& out, double value) {
  visit_dtype(dtype, [&]<typename T>() {
    using Word = std::conditional_t<
        sizeof(T) == 1, std::uint8_t,
        std::conditional_t<sizeof(T) == 2, std::uint16_t,
                           std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>>;
    const Map map(name, shape, Strided{static_cast<Word*>(out.data), &out.strides});
    const FillBody<Word> body{std::bit_cast<Word>(convert<T>(value))};
    map.lie() == Lie::dense ? map.run_dense(body) : map.run_any(body);
  });
}

void Arange::cuda(DType dtype, void* out, std::int64_t count, double start, double step) {
  if (count == 0) return;
  visit_dtype(dtype, [&]<typename T>() {
    run(name, arange_kernel<T>, {static_cast<unsigned>((count + map_threads - 1) / map_threads), map_threads},
        static_cast<T*>(out), count, start, step);
  });
}

void Copy::cuda(const Shape& shape, DType to, const MutableOperand& out, DType from, const Operand& x) {
  if (to == from) return copy_words(size_of(to), shape, out, x);
  visit_dtype(to, [&]<typename To>() {
    visit_dtype(from, [&]<typename From>() {
      if constexpr (!std::is_same_v<To, From>) copy<To, From>(shape, out, x);
    });
  });
}

void AddScaled::cuda(DType dtype, const Shape& shape, const MutableOperand& out, const Operand& x,
                     double alpha, double beta) {
  visit_dtype(dtype, [&]<typename T>() {
    using C = Arithmetic<T>;
    const AddScaledBody<T> body{static_cast<C>(alpha), static_cast<C>(beta)};
    const Strided to{static_cast<T*>(out.data), &out.strides};
    const Strided from{static_cast<const T*>(x.data), &x.strides};
    const auto start = [&](const auto& map) {
      if constexpr (is_common<T>) {
        if (map.lie() == Lie::dense) return map.run_dense(body);
      }
      map.run_any(body);
    };
    if (body.beta == C(0)) return start(Map(name, shape, to, from));
    start(Map(name, shape, to, Strided<const T>{to.data, to.strides}, from));
  });
}

}  // namespace tutti::kernels
