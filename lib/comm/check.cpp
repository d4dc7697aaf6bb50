#include "comm/check.h"

#include <fmt/format.h>

#include "tutti/core/error.h"

namespace tutti::comm {

void refuse_device(const Backend& backend, const char* operation, const char* which, View buffer) {
  throw DeviceError(fmt::format("{}: the back end {} does not take `{}` on {}", operation, backend.name(),
                                which, buffer.device.str()));
}

void refuse_null(const char* operation, const char* which, View buffer) {
  throw ShapeError(fmt::format("{}: `{}` is null, but has {} elements", operation, which, buffer.count));
}

void refuse_devices(const char* operation, View in, View out) {
  throw DeviceError(fmt::format("{}: `in` is on {}, `out` is on {}; they must be on one device", operation,
                                in.device.str(), out.device.str()));
}

void refuse_dtypes(const char* operation, View in, View out) {
  throw DTypeError(fmt::format("{}: `in` is {}, `out` is {}; they must be equal", operation,
                               name_of(in.dtype), name_of(out.dtype)));
}

void refuse_blocks(const char* operation, const char* many_name, View many, const char* one_name, View one,
                   int size) {
  throw ShapeError(fmt::format("{}: `{}` must hold {} (ranks) times the {} elements of `{}`, it has {}",
                               operation, many_name, size, one.count, one_name, many.count));
}

void refuse_counts(const char* operation, View in, View out) {
  throw ShapeError(fmt::format("{}: `in` has {} elements, `out` has {}; they must be equal", operation,
                               in.count, out.count));
}

void refuse_indivisible(const char* operation, const char* which, View buffer, int size) {
  throw ShapeError(fmt::format("{}: `{}` must be divisible by the {} ranks, it has {} elements", operation,
                               which, size, buffer.count));
}

void refuse_overlap(const char* operation) {
  throw ShapeError(fmt::format("{}: `in` and `out` must not overlap", operation));
}

void refuse_op(const char* operation, DType dtype) {
  throw DTypeError(
      fmt::format("{}: avg needs floating point, the elements are {}", operation, name_of(dtype)));
}

void refuse_rank(const char* operation, const char* which, int rank, int size) {
  throw ShapeError(fmt::format("{}: {} must be in [0, {}), it is {}", operation, which, size, rank));
}

}  // namespace tutti::comm
