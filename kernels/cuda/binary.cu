#include "kernels/cuda/math.cuh"
#include "kernels/cuda/strided.cuh"

namespace tutti::kernels {
namespace {

template <typename T>
struct BinaryBody {
  BinaryOp op;
  T* out;
  const T* a;
  const T* b;

  __device__ void operator()(const std::int64_t (&at)[3]) const {
    using C = Arithmetic<T>;
    out[at[0]] = T(apply(op, static_cast<C>(a[at[1]]), static_cast<C>(b[at[2]])));
  }
};

}  // namespace

void Binary::cuda(BinaryOp op, DType dtype, const Shape& shape, void* out, const Operand& a,
                  const Operand& b) {
  const Shape out_strides = contiguous_strides(shape);
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_same_v<T, bool>) {
      for_each<3>(name, shape, {&out_strides, &a.strides, &b.strides},
                  BinaryBody<T>{op, static_cast<T*>(out), static_cast<const T*>(a.data),
                                static_cast<const T*>(b.data)});
    }
  });
}

}  // namespace tutti::kernels
