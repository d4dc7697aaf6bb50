/// \file
#pragma once

#include <cstdint>
#include <string>

namespace tutti {

/// A height and a width; one number stands for both: `.stride = 2`, `.padding = {0, 1}`.
struct Size2d {
  std::int64_t height;
  std::int64_t width;

  constexpr Size2d(std::int64_t both) : height(both), width(both) {}
  constexpr Size2d(std::int64_t h, std::int64_t w) : height(h), width(w) {}

  bool operator==(const Size2d&) const = default;
  /// "3 x 3"
  std::string str() const { return std::to_string(height) + " x " + std::to_string(width); }
};

}  // namespace tutti
