// What is checked once, above every back end.
#pragma once

#include <cstddef>

#include "tutti/comm/backend.h"
#include "tutti/core/buffer_view.h"
#include "tutti/core/reduce_op.h"

namespace tutti::comm {

// On a device that the back end takes, and not null where it has elements.
void check_buffer(const Backend& backend, const char* operation, const char* which, ConstBufferView buffer);
void check_same_device(const char* operation, ConstBufferView in, ConstBufferView out);
// Of one dtype, and on one device.
void check_alike(const char* operation, ConstBufferView in, ConstBufferView out);
// `many` holds `size` blocks of `one`; the names are "in" and "out".
void check_blocks(const char* operation, const char* many_name, ConstBufferView many, const char* one_name,
                  ConstBufferView one, int size);
void check_same_count(const char* operation, ConstBufferView in, ConstBufferView out);
void check_divisible(const char* operation, const char* which, ConstBufferView buffer, int size);
void check_no_overlap(const char* operation, ConstBufferView in, ConstBufferView out);
void check_op(const char* operation, ReduceOp op, DType dtype);
void check_rank(const char* operation, const char* which, int rank, int size);

}  // namespace tutti::comm
