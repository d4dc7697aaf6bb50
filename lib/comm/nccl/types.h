// Tutti's types and reductions in NCCL's terms.
#pragma once

#include <nccl.h>

#include "tutti/core/dtype.h"
#include "tutti/core/reduce_op.h"

namespace tutti::comm {

inline ncclDataType_t nccl_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
    case DType::bf16:
      return ncclBfloat16;
    case DType::f16:
      return ncclFloat16;
    case DType::i32:
      return ncclInt32;
    case DType::i64:
      return ncclInt64;
    case DType::u8:
    case DType::bool_:
      break;
  }
  return ncclUint8;
}

inline ncclRedOp_t nccl_op(ReduceOp op, DType dtype) {
  // On bytes that are 0 or 1, "or" is the maximum and "and" the minimum.
  if (dtype == DType::bool_) return op == ReduceOp::sum || op == ReduceOp::max ? ncclMax : ncclMin;
  switch (op) {
    case ReduceOp::avg:
      return ncclAvg;
    case ReduceOp::min:
      return ncclMin;
    case ReduceOp::max:
      return ncclMax;
    case ReduceOp::prod:
      return ncclProd;
    case ReduceOp::sum:
      break;
  }
  return ncclSum;
}

}  // namespace tutti::comm
