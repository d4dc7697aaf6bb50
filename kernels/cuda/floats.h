// Kernels of floating point dtypes alone.
#pragma once

#include "tutti/core/dtype.h"

namespace tutti::kernels {

// Calls f.template operator()<T>() with the C++ type of `dtype`, one of the four floats.
template <typename F>
void visit_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f.template operator()<double>();
    case DType::bf16:
      return f.template operator()<bfloat16>();
    case DType::f16:
      return f.template operator()<float16>();
    default:
      return f.template operator()<float>();
  }
}

}  // namespace tutti::kernels
