// What is checked once, above every back end. Inline: a small collective takes no longer than a few of these calls
// would.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tutti/comm/backend.h"
#include "tutti/core/buffer_view.h"
#include "tutti/core/reduce_op.h"

namespace tutti::comm {

using View = const ConstBufferView&;

[[noreturn]] void refuse_device(const Backend& backend, const char* operation, const char* which,
                                View buffer);
[[noreturn]] void refuse_null(const char* operation, const char* which, View buffer);
[[noreturn]] void refuse_devices(const char* operation, View in, View out);
[[noreturn]] void refuse_dtypes(const char* operation, View in, View out);
[[noreturn]] void refuse_blocks(const char* operation, const char* many_name, View many, const char* one_name,
                                View one, int size);
[[noreturn]] void refuse_counts(const char* operation, View in, View out);
[[noreturn]] void refuse_indivisible(const char* operation, const char* which, View buffer, int size);
[[noreturn]] void refuse_overlap(const char* operation);
[[noreturn]] void refuse_op(const char* operation, DType dtype);
[[noreturn]] void refuse_rank(const char* operation, const char* which, int rank, int size);

// On a device that the back end takes, if only by way of the host, and not null where it has elements.
inline void check_buffer(const Backend& backend, const char* operation, const char* which, View buffer) {
  if (!buffer.device.is_cpu() && backend.completion() == Backend::Completion::on_device &&
      !backend.takes(buffer.device))
    refuse_device(backend, operation, which, buffer);
  if (buffer.data == nullptr && buffer.count != 0) refuse_null(operation, which, buffer);
}

inline void check_same_device(const char* operation, View in, View out) {
  if (in.device != out.device) refuse_devices(operation, in, out);
}

// Of one dtype, and on one device.
inline void check_alike(const char* operation, View in, View out) {
  check_same_device(operation, in, out);
  if (in.dtype != out.dtype) refuse_dtypes(operation, in, out);
}

// `many` holds `size` blocks of `one`; the names are "in" and "out".
inline void check_blocks(const char* operation, const char* many_name, View many, const char* one_name,
                         View one, int size) {
  const auto ranks = static_cast<std::size_t>(size);
  if (many.count % ranks != 0 || many.count / ranks != one.count)
    refuse_blocks(operation, many_name, many, one_name, one, size);
}

inline void check_same_count(const char* operation, View in, View out) {
  if (in.count != out.count) refuse_counts(operation, in, out);
}

inline void check_divisible(const char* operation, const char* which, View buffer, int size) {
  if (buffer.count % static_cast<std::size_t>(size) != 0) refuse_indivisible(operation, which, buffer, size);
}

inline void check_no_overlap(const char* operation, View in, View out) {
  const auto a = reinterpret_cast<std::uintptr_t>(in.data);
  const auto b = reinterpret_cast<std::uintptr_t>(out.data);
  if (in.count != 0 && out.count != 0 && a < b + out.bytes() && b < a + in.bytes()) refuse_overlap(operation);
}

inline void check_op(const char* operation, ReduceOp op, DType dtype) {
  if (op == ReduceOp::avg && !is_floating_point(dtype)) refuse_op(operation, dtype);
}

inline void check_rank(const char* operation, const char* which, int rank, int size) {
  if (rank < 0 || rank >= size) refuse_rank(operation, which, rank, size);
}

}  // namespace tutti::comm
