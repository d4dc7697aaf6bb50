#include "tutti/core/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tutti/core/error.h"

namespace tutti {
namespace {

std::int64_t times(std::int64_t a, std::int64_t b, const Shape& shape) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    throw ShapeError(fmt::format("shape: the sizes {} overflow 63 bits", shape.str()));
  }
  return product;
}

}  // namespace

Shape::Shape(std::span<const std::int64_t> values) {
  if (values.size() > max_rank) {
    throw ShapeError(fmt::format("shape: at most {} dimensions, got {}", max_rank, values.size()));
  }
  std::ranges::copy(values, values_.begin());
  rank_ = static_cast<int>(values.size());
}

Shape Shape::filled(int rank, std::int64_t value) {
  Shape shape;
  for (int i = 0; i < rank; ++i) shape.push_back(value);
  return shape;
}

void Shape::insert(int position, std::int64_t value) {
  if (rank_ == max_rank) throw ShapeError(fmt::format("shape: at most {} dimensions", max_rank));
  for (int i = rank_; i > position; --i) (*this)[i] = (*this)[i - 1];
  (*this)[position] = value;
  ++rank_;
}

void Shape::erase(int position) {
  for (int i = position; i + 1 < rank_; ++i) (*this)[i] = (*this)[i + 1];
  --rank_;
}

std::int64_t Shape::numel() const {
  std::int64_t product = 1;
  for (const auto value : *this) product = times(product, value, *this);
  return product;
}

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(begin(), end(), ", ")); }

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides = Shape::filled(shape.rank(), 1);
  for (int i = shape.rank() - 2; i >= 0; --i)
    strides[i] = times(strides[i + 1], std::max<std::int64_t>(shape[i + 1], 1), shape);
  return strides;
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  Shape result = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  const int shift = result.rank() - shorter.rank();
  for (int i = 0; i < shorter.rank(); ++i) {
    auto& size = result[shift + i];
    if (size == shorter[i] || shorter[i] == 1) continue;
    if (size != 1)
      throw ShapeError(fmt::format("{}: shapes do not broadcast: {} and {}", op, a.str(), b.str()));
    size = shorter[i];
  }
  return result;
}

int normalize_dim(const char* op, std::int64_t dim, int rank) {
  if (dim < -rank || dim >= rank) {
    throw ShapeError(fmt::format("{}: dimension {} is outside [{}, {})", op, dim, -rank, rank));
  }
  return static_cast<int>(dim < 0 ? dim + rank : dim);
}

}  // namespace tutti
