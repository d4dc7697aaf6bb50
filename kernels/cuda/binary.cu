#include "kernels/cuda/map.cuh"
#include "kernels/cuda/math.cuh"

namespace tutti::kernels {
namespace {

// `Op` is a BinaryOp, or a constant of one.
template <typename T, typename Op>
struct BinaryBody {
  Op op;

  __device__ T operator()(T a, T b) const {
    using C = Arithmetic<T>;
    return T(apply<is_narrow<T>>(op, static_cast<C>(a), static_cast<C>(b)));
  }
};

}  // namespace

void Binary::cuda(BinaryOp op, DType dtype, const Shape& shape, void* out, const Operand& a,
                  const Operand& b) {
  const Shape out_strides = contiguous_strides(shape);
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_same_v<T, bool>) {
      const Map map(name, shape, Strided{static_cast<T*>(out), &out_strides},
                    Strided{static_cast<const T*>(a.data), &a.strides},
                    Strided{static_cast<const T*>(b.data), &b.strides});
      if constexpr (is_fast<T>) {
        if (map.lie() == Lie::dense)
          return with_constant(op,
                               [&](auto constant) { map.run_dense(BinaryBody<T, decltype(constant)>{}); });
        if (map.lie() == Lie::rows && op <= BinaryOp::div)  // as of a bias and of a scale
          return with_constant<BinaryOp::add, BinaryOp::div>(
              op, [&](auto constant) { map.run_rows(BinaryBody<T, decltype(constant)>{}); });
      }
      map.run_any(BinaryBody<T, BinaryOp>{op});
    }
  });
}

}  // namespace tutti::kernels
