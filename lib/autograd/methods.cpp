// The member spellings of the differentiable functions.
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/tensor/tensor.h"

namespace tutti {

Tensor Tensor::contiguous() const { return tutti::contiguous(*this); }
Tensor Tensor::clone() const { return tutti::clone(*this); }
Tensor Tensor::to(DType dtype) const { return tutti::to(*this, dtype); }
Tensor Tensor::to(Device device) const { return tutti::to(*this, device); }
Tensor Tensor::reshape(const Shape& shape) const { return tutti::reshape(*this, shape); }
Tensor Tensor::transpose(std::int64_t dim0, std::int64_t dim1) const {
  return tutti::transpose(*this, dim0, dim1);
}
Tensor Tensor::permute(const Shape& dims) const { return tutti::permute(*this, dims); }
Tensor Tensor::expand(const Shape& shape) const { return tutti::expand(*this, shape); }
Tensor Tensor::slice(std::int64_t dim, std::int64_t start, std::int64_t end, std::int64_t step) const {
  return tutti::slice(*this, dim, start, end, step);
}
Tensor Tensor::select(std::int64_t dim, std::int64_t index) const { return tutti::select(*this, dim, index); }
Tensor Tensor::unsqueeze(std::int64_t dim) const { return tutti::unsqueeze(*this, dim); }
Tensor Tensor::squeeze(std::int64_t dim) const { return tutti::squeeze(*this, dim); }
Tensor Tensor::flatten(std::int64_t start_dim, std::int64_t end_dim) const {
  return tutti::flatten(*this, start_dim, end_dim);
}
Tensor Tensor::sum() const { return tutti::sum(*this); }
Tensor Tensor::sum(const Shape& dims, bool keepdim) const { return tutti::sum(*this, dims, keepdim); }
Tensor Tensor::mean() const { return tutti::mean(*this); }
Tensor Tensor::mean(const Shape& dims, bool keepdim) const { return tutti::mean(*this, dims, keepdim); }

}  // namespace tutti
