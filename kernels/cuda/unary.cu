#include "kernels/cuda/math.cuh"
#include "kernels/cuda/strided.cuh"

namespace tutti::kernels {
namespace {

template <typename T>
struct UnaryBody {
  UnaryOp op;
  T* out;
  const T* x;

  __device__ void operator()(const std::int64_t (&at)[2]) const {
    out[at[0]] = T(apply(op, static_cast<Arithmetic<T>>(x[at[1]])));
  }
};

}  // namespace

void Unary::cuda(UnaryOp op, DType dtype, const Shape& shape, void* out, const Operand& x) {
  const Shape out_strides = contiguous_strides(shape);
  visit_dtype(dtype, [&]<typename T>() {
    for_each<2>(name, shape, {&out_strides, &x.strides},
                UnaryBody<T>{op, static_cast<T*>(out), static_cast<const T*>(x.data)});
  });
}

}  // namespace tutti::kernels
