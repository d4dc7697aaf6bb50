/// \file
/// The tensor: a cheap handle on strided elements in shared storage.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "tutti/core/buffer_view.h"
#include "tutti/core/default_device.h"
#include "tutti/core/dtype.h"
#include "tutti/core/shape.h"
#include "tutti/tensor/storage.h"

namespace tutti {

namespace autograd {
struct Meta;
}  // namespace autograd

/// What new tensors are made of: `zeros({2, 3}, {.dtype = DType::f64})`.
struct TensorOptions {
  DType dtype = DType::f32;
  Device device = default_device();
};

/// A handle on `shape()` elements of `dtype()` in a storage that views share. Copying a Tensor copies the
/// handle; `clone()` copies elements. Row-major, strided; at most Shape::max_rank dimensions. A default-made
/// Tensor is *undefined*: it has no elements and no shape, and stands for "none".
///
/// As in PyTorch, a const Tensor is a const handle: its elements may still change.
class Tensor {
 public:
  Tensor() = default;
  /// A tensor over `storage`: element (i, j, ...) is number offset + i * strides[0] + j * strides[1] + ...
  Tensor(std::shared_ptr<Storage> storage, DType dtype, const Shape& shape, const Shape& strides,
         std::int64_t offset = 0);

  bool defined() const { return impl_ != nullptr; }
  const Shape& shape() const { return impl().shape; }
  /// Size along `dim`, which may be negative.
  std::int64_t size(std::int64_t dim) const;
  const Shape& strides() const { return impl().strides; }
  std::int64_t offset() const { return impl().offset; }
  int rank() const { return shape().rank(); }
  std::int64_t numel() const { return impl().numel; }
  DType dtype() const { return impl().dtype; }
  Device device() const { return storage()->device(); }
  bool is_contiguous() const { return impl().contiguous; }
  const std::shared_ptr<Storage>& storage() const { return impl().storage; }
  /// Whether two handles name the same tensor (not merely the same storage).
  bool is_same(const Tensor& other) const { return impl_ == other.impl_; }

  /// Address of the first element, on `device()`.
  void* raw_data() const;
  /// The same, typed. \throws DTypeError when T is not the element type.
  template <typename T>
  T* data() const {
    check_dtype(dtype_of<T>);
    return static_cast<T*>(raw_data());
  }
  /// The only element, converted. \throws ShapeError when there is not exactly one.
  template <typename T = float>
  T item() const {
    return static_cast<T>(item_as_double());
  }
  /// The elements in row-major order, copied to the host. \throws DTypeError when T is not the element type.
  template <typename T>
  std::vector<T> to_vector() const;

  /// Contiguous memory for collectives. \throws ShapeError when the tensor is not contiguous.
  operator BufferView() const;
  operator ConstBufferView() const { return static_cast<BufferView>(*this); }

  /// Moves this tensor, through all of its handles, onto other memory, which holds its elements side by side from
  /// element `offset` on. Views of it, and handles that `detach` made, stay where they were.
  /// \throws ShapeError when there is no room for them, DeviceError for another device, or none.
  void set_storage(std::shared_ptr<Storage> storage, std::int64_t offset = 0);

  /// A view with other sizes and strides on the same storage; not recorded for gradients.
  Tensor as_strided(const Shape& shape, const Shape& strides, std::int64_t offset) const;
  /// A handle on the same elements that the tape does not know.
  Tensor detach() const;

  // In place, not recorded for gradients. Changing a tensor that the tape saved is an error at backward.
  Tensor& fill_(double value);
  Tensor& zero_();
  /// Elements of `source`, broadcast and converted to this dtype, copied across devices.
  Tensor& copy_(const Tensor& source);
  Tensor& add_(const Tensor& other, double alpha = 1);
  Tensor& mul_(double factor);

  // Differentiable; each is the member spelling of a function of the same name in tutti/autograd/.
  Tensor contiguous() const;
  Tensor clone() const;
  Tensor to(DType dtype) const;
  Tensor to(Device device) const;
  Tensor reshape(const Shape& shape) const;
  Tensor transpose(std::int64_t dim0, std::int64_t dim1) const;
  Tensor permute(const Shape& dims) const;
  Tensor expand(const Shape& shape) const;
  Tensor slice(std::int64_t dim, std::int64_t start, std::int64_t end, std::int64_t step = 1) const;
  Tensor select(std::int64_t dim, std::int64_t index) const;
  Tensor unsqueeze(std::int64_t dim) const;
  Tensor squeeze(std::int64_t dim) const;
  Tensor flatten(std::int64_t start_dim = 0, std::int64_t end_dim = -1) const;
  Tensor sum() const;
  Tensor sum(const Shape& dims, bool keepdim = false) const;
  Tensor mean() const;
  Tensor mean(const Shape& dims, bool keepdim = false) const;

  /// Whether gradients flow to (a leaf) or through (a result) this tensor.
  bool requires_grad() const;
  /// Makes a leaf collect a gradient. Returns this handle.
  /// \throws AutogradError on the result of a recorded operation, DTypeError for integers.
  Tensor& set_requires_grad(bool requires_grad = true);
  /// The gradient that `backward` accumulated; undefined before. What one backward pass brings, from all
  /// uses of the leaf, is summed first and then added once.
  Tensor grad() const;
  /// Replaces the gradient; `backward` adds into it in place, so it may be a view into a bucket.
  void set_grad(const Tensor& grad);
  /// Calls `hook` each time that `backward` has added the last contribution to this leaf's `grad()`.
  void register_grad_hook(std::function<void(Tensor& leaf)> hook);
  /// Computes the gradients of this scalar with respect to every leaf that it depends on, and adds them to
  /// their `grad()`. The graph is freed on the way unless `retain_graph`.
  /// \throws AutogradError for a tensor that is no scalar or has no graph, for a second backward through a
  ///         freed graph, and when a saved tensor was changed in place since.
  void backward(bool retain_graph = false) const;
  /// The same for a tensor of any shape, with the gradient of the final result with respect to it.
  void backward(const Tensor& grad, bool retain_graph = false) const;

  /// The tape's part of this tensor; null when it has none. For tutti/autograd/.
  const std::shared_ptr<autograd::Meta>& autograd_meta() const { return impl().meta; }
  void set_autograd_meta(std::shared_ptr<autograd::Meta> meta) const;

  /// "tensor([[1, 2], [3, 4]], f32, [2, 2])", elided where large.
  std::string str() const;

 private:
  struct Impl {
    std::shared_ptr<Storage> storage;
    Shape shape;
    Shape strides;
    std::int64_t offset;
    std::int64_t numel;
    DType dtype;
    bool contiguous;
    std::shared_ptr<autograd::Meta> meta;
  };

  const Impl& impl() const {
    if (!impl_) throw_undefined();
    return *impl_;
  }
  [[noreturn]] static void throw_undefined();
  void check_dtype(DType dtype) const;
  double item_as_double() const;
  void copy_to_host(void* out) const;

  std::shared_ptr<Impl> impl_;
};

template <typename T>
std::vector<T> Tensor::to_vector() const {
  static_assert(!std::is_same_v<T, bool>, "read a bool tensor as to(DType::u8)");
  check_dtype(dtype_of<T>);
  std::vector<T> values(static_cast<std::size_t>(numel()));
  copy_to_host(values.data());
  return values;
}

std::ostream& operator<<(std::ostream& stream, const Tensor& tensor);

}  // namespace tutti
