#include "kernels/cuda/map.cuh"
#include "kernels/cuda/math.cuh"

namespace tutti::kernels {
namespace {

// `Op` is a UnaryOp, or a constant of one.
template <typename T, typename Op>
struct UnaryBody {
  Op op;

  __device__ T operator()(T x) const { return T(apply<is_narrow<T>>(op, static_cast<Arithmetic<T>>(x))); }
};

}  // namespace

void Unary::cuda(UnaryOp op, DType dtype, const Shape& shape, void* out, const Operand& x) {
  const Shape out_strides = contiguous_strides(shape);
  visit_dtype(dtype, [&]<typename T>() {
    const Map map(name, shape, Strided{static_cast<T*>(out), &out_strides},
                  Strided{static_cast<const T*>(x.data), &x.strides});
    if constexpr (is_fast<T>) {
      if (map.lie() == Lie::dense)
        return with_constant(op, [&](auto constant) { map.run_dense(UnaryBody<T, decltype(constant)>{}); });
    }
    map.run_any(UnaryBody<T, UnaryOp>{op});
  });
}

}  // namespace tutti::kernels
