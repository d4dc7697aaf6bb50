/// \file
/// Memory as the floors share it: a pointer, a count, an element type and a device. It owns nothing.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include "tutti/core/device.h"
#include "tutti/core/dtype.h"

namespace tutti {

/// `count` elements of `dtype`, contiguous at `data` on `device`, writable.
struct BufferView {
  void* data = nullptr;
  std::size_t count = 0;
  DType dtype = DType::f32;
  Device device{};

  BufferView() = default;
  BufferView(void* pointer, std::size_t elements, DType type, Device where = {})
      : data(pointer), count(elements), dtype(type), device(where) {}

  // clang-format 14 does not see where these requires clauses end.
  // clang-format off
  /// Any contiguous range of elements: `comm.all_reduce(my_vector)`.
  template <typename Range>
    requires requires(Range& r) { std::span(r); } &&
             (!std::is_const_v<std::remove_pointer_t<decltype(std::span(std::declval<Range&>()).data())>>)
  BufferView(Range& range) {
    const std::span view(range);
    data = view.data();
    count = view.size();
    dtype = dtype_of<std::remove_pointer_t<decltype(view.data())>>;
  }

  /// Part of one: `comm.broadcast(std::span(my_vector).first(10))`.
  template <typename T, std::size_t extent>
    requires(!std::is_const_v<T>)
  BufferView(std::span<T, extent> view) : BufferView(view.data(), view.size(), dtype_of<T>) {}
  // clang-format on

  std::size_t bytes() const { return count * size_of(dtype); }
};

/// The same, read only.
struct ConstBufferView {
  const void* data = nullptr;
  std::size_t count = 0;
  DType dtype = DType::f32;
  Device device{};

  ConstBufferView() = default;
  ConstBufferView(const void* pointer, std::size_t elements, DType type, Device where = {})
      : data(pointer), count(elements), dtype(type), device(where) {}
  ConstBufferView(const BufferView& view)
      : data(view.data), count(view.count), dtype(view.dtype), device(view.device) {}

  template <typename Range>
  requires requires(const Range& r) { std::span(r); }
  ConstBufferView(const Range& range) {
    const std::span view(range);
    data = view.data();
    count = view.size();
    dtype = dtype_of<std::remove_const_t<std::remove_pointer_t<decltype(view.data())>>>;
  }

  std::size_t bytes() const { return count * size_of(dtype); }
};

}  // namespace tutti
