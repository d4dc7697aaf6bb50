// Readable text of a tensor: at most the first and last three of each dimension once it is large.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <ostream>

#include "tutti/tensor/tensor.h"

namespace tutti {
namespace {

constexpr std::int64_t elide_above = 1000;  // elements
constexpr std::int64_t edge = 3;            // shown at each end of an elided dimension

struct Printer {
  const Shape& shape;
  const std::function<std::string(std::size_t element)>& cell;
  bool elide;
  std::size_t width = 0;
  std::size_t widest = 0;  // of the cells printed so far
  std::string text{};

  void print(int dim, std::size_t first) {
    if (dim == shape.rank()) {
      const std::string one = cell(first);
      widest = std::max(widest, one.size());
      text += fmt::format("{:>{}}", one, width);
      return;
    }
    std::size_t stride = 1;
    for (int i = dim + 1; i < shape.rank(); ++i) stride *= static_cast<std::size_t>(shape[i]);
    const bool innermost = dim + 1 == shape.rank();
    const std::string separator =
        innermost ? ", " : fmt::format(",\n{:{}}", "", 8 + static_cast<std::size_t>(dim));
    text += '[';
    for (std::int64_t i = 0; i < shape[dim]; ++i) {
      if (i > 0) text += separator;
      if (elide && shape[dim] > 2 * edge && i == edge) {
        text += "...";
        i = shape[dim] - edge - 1;
        continue;
      }
      print(dim + 1, first + static_cast<std::size_t>(i) * stride);
    }
    text += ']';
  }
};

template <typename T>
std::string text_of(T value) {
  if constexpr (std::is_same_v<T, bool>) return value ? "true" : "false";
  if constexpr (is_floating_point(dtype_of<T>)) return fmt::format("{:.4g}", static_cast<double>(value));
  return fmt::format("{}", static_cast<std::int64_t>(value));
}

}  // namespace

std::string Tensor::str() const {
  if (!defined()) return "tensor(undefined)";
  std::vector<std::byte> bytes(static_cast<std::size_t>(numel()) * size_of(dtype()));
  copy_to_host(bytes.data());
  const std::function<std::string(std::size_t)> cell = [&](std::size_t element) {
    std::string one;
    visit_dtype(dtype(),
                [&]<typename T>() { one = text_of(reinterpret_cast<const T*>(bytes.data())[element]); });
    return one;
  };
  // Once for the width of the cells, once to be seen.
  Printer draft{.shape = shape(), .cell = cell, .elide = numel() > elide_above};
  draft.print(0, 0);
  Printer printer{.shape = shape(), .cell = cell, .elide = draft.elide, .width = draft.widest};
  printer.print(0, 0);
  const std::string where = device().is_cpu() ? "" : ", " + device().str();
  return fmt::format("tensor({}, {}, {}{})", printer.text, name_of(dtype()), shape().str(), where);
}

std::ostream& operator<<(std::ostream& stream, const Tensor& tensor) { return stream << tensor.str(); }

}  // namespace tutti
