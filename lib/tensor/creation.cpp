#include "tutti/tensor/creation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/memory.h"
#include "tutti/core/error.h"

namespace tutti {

Tensor empty(const Shape& shape, const TensorOptions& options) {
  std::int64_t product = 1;  // also of the sizes beside a 0, which strides are made of
  for (const auto size : shape) {
    if (size < 0 || __builtin_mul_overflow(product, std::max<std::int64_t>(size, 1), &product) ||
        product > (INT64_MAX >> 4)) {
      throw ShapeError(fmt::format("empty: sizes must not be negative nor overflow, got {}", shape.str()));
    }
  }
  const auto bytes = static_cast<std::size_t>(shape.numel()) * size_of(options.dtype);
  return Tensor(Storage::allocate(bytes, options.device), options.dtype, shape, contiguous_strides(shape));
}

Tensor zeros(const Shape& shape, const TensorOptions& options) { return full(shape, 0, options); }

Tensor ones(const Shape& shape, const TensorOptions& options) { return full(shape, 1, options); }

Tensor full(const Shape& shape, double value, const TensorOptions& options) {
  Tensor result = empty(shape, options);
  result.fill_(value);
  return result;
}

Tensor empty_like(const Tensor& like) { return empty(like.shape(), {like.dtype(), like.device()}); }

Tensor zeros_like(const Tensor& like) { return zeros(like.shape(), {like.dtype(), like.device()}); }

Tensor ones_like(const Tensor& like) { return ones(like.shape(), {like.dtype(), like.device()}); }

Tensor arange(double start, double end, double step, const TensorOptions& options) {
  if (step == 0 || (end - start) / step < 0) {
    throw ShapeError(fmt::format("arange: a step of {} does not lead from {} to {}", step, start, end));
  }
  const auto count = static_cast<std::int64_t>(std::ceil((end - start) / step));
  Tensor result = empty({count}, options);
  kernels::launch<kernels::Arange>(options.device, options.dtype, result.raw_data(), count, start, step);
  return result;
}

Tensor arange(std::int64_t end, const TensorOptions& options) {
  return arange(0, static_cast<double>(end), 1, options);
}

Tensor eye(std::int64_t n, const TensorOptions& options) {
  Tensor result = zeros({n, n}, options);
  result.as_strided({n}, {n + 1}, 0).fill_(1);
  return result;
}

Tensor from_host(ConstBufferView values, const Shape& shape, Device device) {
  if (static_cast<std::int64_t>(values.count) != shape.numel()) {
    throw ShapeError(fmt::format("from: {} values do not fill the shape {}", values.count, shape.str()));
  }
  Tensor result = empty(shape, {values.dtype, device});
  kernels::copy_bytes(result.raw_data(), device, values.data, Device::cpu(), values.bytes());
  return result;
}

Tensor from_buffer(BufferView buffer, const Shape& shape, std::shared_ptr<void> owner) {
  if (static_cast<std::int64_t>(buffer.count) != shape.numel()) {
    throw ShapeError(
        fmt::format("from_buffer: {} elements do not fill the shape {}", buffer.count, shape.str()));
  }
  return Tensor(Storage::external(buffer.data, buffer.bytes(), buffer.device, std::move(owner)), buffer.dtype,
                shape, contiguous_strides(shape));
}

}  // namespace tutti
