#include "tutti/tensor/tensor.h"

#include <fmt/format.h>

#include "kernels/elementwise.h"
#include "kernels/memory.h"
#include "tutti/core/error.h"

namespace tutti {

Tensor::Tensor(std::shared_ptr<Storage> storage, DType dtype, const Shape& shape, const Shape& strides,
               std::int64_t offset)
    : impl_(std::make_shared<Impl>(
          Impl{std::move(storage), shape, strides, offset, shape.numel(), dtype, true, {}})) {
  const Shape dense = contiguous_strides(shape);
  for (int i = 0; i < shape.rank() && impl_->numel != 0; ++i) {
    if (shape[i] != 1 && strides[i] != dense[i]) impl_->contiguous = false;
  }
}

void Tensor::throw_undefined() { throw Error("tensor: used before it was given a value"); }

std::int64_t Tensor::size(std::int64_t dim) const { return shape()[normalize_dim("size", dim, rank())]; }

void* Tensor::raw_data() const {
  void* data = storage()->data();
  if (!data && storage()->bytes() > 0) {
    throw Error(
        fmt::format("tensor: the elements of this {} are not here: a sharded parameter is whole only while "
                    "its module computes, "
                    "and where DataParallel::gather says so",
                    shape().str()));
  }
  return static_cast<std::byte*>(data) + static_cast<std::size_t>(offset()) * size_of(dtype());
}

void Tensor::set_storage(std::shared_ptr<Storage> storage, std::int64_t offset) {
  if (!storage) throw DeviceError("set_storage: there is no memory");
  if (storage->device() != device()) {
    throw DeviceError(fmt::format("set_storage: the tensor is on {}, the memory on {}", device().str(),
                                  storage->device().str()));
  }
  const auto room = static_cast<std::int64_t>(storage->bytes() / size_of(dtype()));
  if (offset < 0 || numel() > room || offset > room - numel()) {
    throw ShapeError(fmt::format("set_storage: {} elements of {} from {} on do not fit into {} bytes",
                                 numel(), name_of(dtype()), offset, storage->bytes()));
  }
  impl_->storage = std::move(storage);
  impl_->strides = contiguous_strides(shape());
  impl_->offset = offset;
  impl_->contiguous = true;
}

void Tensor::check_dtype(DType expected) const {
  if (dtype() != expected) {
    throw DTypeError(
        fmt::format("tensor: read as {}, but its elements are {}", name_of(expected), name_of(dtype())));
  }
}

void Tensor::set_autograd_meta(std::shared_ptr<autograd::Meta> meta) const {
  if (!impl_) throw_undefined();
  impl_->meta = std::move(meta);
}

Tensor::operator BufferView() const {
  if (!is_contiguous()) {
    throw ShapeError(
        fmt::format("buffer view: the tensor {} with strides {} is not contiguous; take contiguous()",
                    shape().str(), strides().str()));
  }
  return {raw_data(), static_cast<std::size_t>(numel()), dtype(), device()};
}

Tensor Tensor::as_strided(const Shape& shape, const Shape& strides, std::int64_t offset) const {
  return Tensor(storage(), dtype(), shape, strides, offset);
}

Tensor Tensor::detach() const { return as_strided(shape(), strides(), offset()); }

void Tensor::copy_to_host(void* out) const {
  if (!is_contiguous() || !device().is_cpu()) {
    Tensor dense(Storage::allocate(static_cast<std::size_t>(numel()) * size_of(dtype()), device()), dtype(),
                 shape(), contiguous_strides(shape()));
    dense.copy_(detach());
    kernels::copy_bytes(out, Device::cpu(), dense.raw_data(), device(), dense.storage()->bytes());
  } else {
    kernels::copy_bytes(out, Device::cpu(), raw_data(), device(),
                        static_cast<std::size_t>(numel()) * size_of(dtype()));
  }
}

double Tensor::item_as_double() const {
  if (numel() != 1)
    throw ShapeError(fmt::format("item: one element is needed, the tensor has shape {}", shape().str()));
  alignas(8) std::byte bytes[8];
  kernels::copy_bytes(bytes, Device::cpu(), raw_data(), device(), size_of(dtype()));
  return visit_dtype(dtype(),
                     [&]<typename T>() { return static_cast<double>(*reinterpret_cast<const T*>(bytes)); });
}

}  // namespace tutti
