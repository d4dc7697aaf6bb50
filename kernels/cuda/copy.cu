// Filling, copying with conversion, and scaled addition in place.
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/strided.cuh"

namespace tutti::kernels {
namespace {

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
  T* out;
  T value;

  __device__ void operator()(const std::int64_t (&at)[1]) const { out[at[0]] = value; }
};

template <typename T>
struct ArangeBody {
  T* out;
  double start, step;

  __device__ void operator()(const std::int64_t (&at)[1]) const {
    out[at[0]] = convert<T>(start + static_cast<double>(at[0]) * step);
  }
};

// The source's dtype is looked at on the GPU: 8 kernels instead of 64.
template <typename To>
struct CopyBody {
  To* out;
  DType from;
  const void* x;

  template <typename From>
  __device__ void copy(const std::int64_t (&at)[2]) const {
    out[at[0]] = convert<To>(static_cast<const From*>(x)[at[1]]);
  }

  __device__ void operator()(const std::int64_t (&at)[2]) const {
    switch (from) {
      case DType::f32:
        return copy<float>(at);
      case DType::f64:
        return copy<double>(at);
      case DType::bf16:
        return copy<bfloat16>(at);
      case DType::f16:
        return copy<float16>(at);
      case DType::i32:
        return copy<std::int32_t>(at);
      case DType::i64:
        return copy<std::int64_t>(at);
      case DType::u8:
        return copy<std::uint8_t>(at);
      case DType::bool_:
        return copy<bool>(at);
    }
  }
};

template <typename T>
struct AddScaledBody {
  using C = Arithmetic<T>;
  T* out;
  const T* x;
  C alpha;
  C beta;

  __device__ void operator()(const std::int64_t (&at)[2]) const {
    const C added = static_cast<C>(alpha * static_cast<C>(x[at[1]]));
    T& element = out[at[0]];
    element = T(beta == C(0) ? added : static_cast<C>(beta * static_cast<C>(element) + added));
  }
};

}  // namespace

void Fill::cuda(DType dtype, const Shape& shape, const MutableOperand& out, double value) {
  visit_dtype(dtype, [&]<typename T>() {
    for_each<1>(name, shape, {&out.strides}, FillBody<T>{static_cast<T*>(out.data), convert<T>(value)});
  });
}

void Arange::cuda(DType dtype, void* out, std::int64_t count, double start, double step) {
  const Shape shape{count}, dense{1};
  visit_dtype(dtype, [&]<typename T>() {
    for_each<1>(name, shape, {&dense}, ArangeBody<T>{static_cast<T*>(out), start, step});
  });
}

void Copy::cuda(const Shape& shape, DType to, const MutableOperand& out, DType from, const Operand& x) {
  visit_dtype(to, [&]<typename To>() {
    for_each<2>(name, shape, {&out.strides, &x.strides},
                CopyBody<To>{static_cast<To*>(out.data), from, x.data});
  });
}

void AddScaled::cuda(DType dtype, const Shape& shape, const MutableOperand& out, const Operand& x,
                     double alpha, double beta) {
  visit_dtype(dtype, [&]<typename T>() {
    using C = Arithmetic<T>;
    for_each<2>(name, shape, {&out.strides, &x.strides},
                AddScaledBody<T>{static_cast<T*>(out.data), static_cast<const T*>(x.data),
                                 static_cast<C>(alpha), static_cast<C>(beta)});
  });
}

}  // namespace tutti::kernels
