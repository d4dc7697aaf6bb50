/// \file
/// The sizes of a tensor, held inline: making one allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace tutti {

/// Up to `max_rank` integers: the sizes of a tensor, its strides, or a list of dimensions.
class Shape {
 public:
  static constexpr int max_rank = 8;

  constexpr Shape() = default;
  /// \throws ShapeError for more than `max_rank` values.
  Shape(std::initializer_list<std::int64_t> values) : Shape(std::span(values.begin(), values.size())) {}
  explicit Shape(std::span<const std::int64_t> values);
  /// `rank` values, all `value`.
  static Shape filled(int rank, std::int64_t value);

  int rank() const { return rank_; }
  bool empty() const { return rank_ == 0; }
  std::size_t size() const { return static_cast<std::size_t>(rank_); }
  std::int64_t operator[](int i) const { return values_[static_cast<std::size_t>(i)]; }
  std::int64_t& operator[](int i) { return values_[static_cast<std::size_t>(i)]; }
  std::int64_t back() const { return values_[size() - 1]; }
  const std::int64_t* begin() const { return values_.data(); }
  const std::int64_t* end() const { return values_.data() + rank_; }
  const std::int64_t* data() const { return values_.data(); }

  void push_back(std::int64_t value) { insert(rank_, value); }
  void insert(int position, std::int64_t value);
  void erase(int position);

  /// Product of the values; 1 for rank 0.
  std::int64_t numel() const;
  /// "[2, 3]"
  std::string str() const;

  bool operator==(const Shape& other) const;

 private:
  std::array<std::int64_t, max_rank> values_{};
  int rank_ = 0;
};

/// Row-major strides, in elements, for a contiguous tensor of `shape`.
Shape contiguous_strides(const Shape& shape);

/// The common shape of two operands by NumPy's rule.
/// \throws ShapeError naming `op` and both shapes when they do not broadcast.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

/// Maps a dimension in [-rank, rank) to [0, rank).
/// \throws ShapeError naming `op` outside that range.
int normalize_dim(const char* op, std::int64_t dim, int rank);

}  // namespace tutti
