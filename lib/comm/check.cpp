#include "comm/check.h"

#include <fmt/format.h>

#include <cstdint>

#include "tutti/core/error.h"

namespace tutti::comm {

void check_buffer(const Backend& backend, const char* operation, const char* which, ConstBufferView buffer) {
  if (!buffer.device.is_cpu() && !backend.takes(buffer.device)) {
    throw DeviceError(fmt::format("{}: the back end {} does not take `{}` on {}", operation, backend.name(),
                                  which, buffer.device.str()));
  }
  if (buffer.data == nullptr && buffer.count != 0) {
    throw ShapeError(fmt::format("{}: `{}` is null, but has {} elements", operation, which, buffer.count));
  }
}

void check_same_device(const char* operation, ConstBufferView in, ConstBufferView out) {
  if (in.device != out.device) {
    throw DeviceError(fmt::format("{}: `in` is on {}, `out` is on {}; they must be on one device", operation,
                                  in.device.str(), out.device.str()));
  }
}

void check_alike(const char* operation, ConstBufferView in, ConstBufferView out) {
  check_same_device(operation, in, out);
  if (in.dtype != out.dtype) {
    throw DTypeError(fmt::format("{}: `in` is {}, `out` is {}; they must be equal", operation,
                                 name_of(in.dtype), name_of(out.dtype)));
  }
}

void check_blocks(const char* operation, const char* many_name, ConstBufferView many, const char* one_name,
                  ConstBufferView one, int size) {
  const auto ranks = static_cast<std::size_t>(size);
  if (many.count % ranks != 0 || many.count / ranks != one.count) {
    throw ShapeError(fmt::format("{}: `{}` must hold {} (ranks) times the {} elements of `{}`, it has {}",
                                 operation, many_name, size, one.count, one_name, many.count));
  }
}

void check_same_count(const char* operation, ConstBufferView in, ConstBufferView out) {
  if (in.count != out.count) {
    throw ShapeError(fmt::format("{}: `in` has {} elements, `out` has {}; they must be equal", operation,
                                 in.count, out.count));
  }
}

void check_divisible(const char* operation, const char* which, ConstBufferView buffer, int size) {
  if (buffer.count % static_cast<std::size_t>(size) != 0) {
    throw ShapeError(fmt::format("{}: `{}` must be divisible by the {} ranks, it has {} elements", operation,
                                 which, size, buffer.count));
  }
}

void check_no_overlap(const char* operation, ConstBufferView in, ConstBufferView out) {
  const auto a = reinterpret_cast<std::uintptr_t>(in.data);
  const auto b = reinterpret_cast<std::uintptr_t>(out.data);
  if (in.bytes() != 0 && out.bytes() != 0 && a < b + out.bytes() && b < a + in.bytes()) {
    throw ShapeError(fmt::format("{}: `in` and `out` must not overlap", operation));
  }
}

void check_op(const char* operation, ReduceOp op, DType dtype) {
  if (op == ReduceOp::avg && !is_floating_point(dtype)) {
    throw DTypeError(
        fmt::format("{}: avg needs floating point, the elements are {}", operation, name_of(dtype)));
  }
}

void check_rank(const char* operation, const char* which, int rank, int size) {
  if (rank < 0 || rank >= size) {
    throw ShapeError(fmt::format("{}: {} must be in [0, {}), it is {}", operation, which, size, rank));
  }
}

}  // namespace tutti::comm
