#include "checkpoint/safetensors_layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "checkpoint/safetensors_dtype.h"
#include "tutti/core/error.h"

namespace tutti::safetensors {
namespace {

class Layouter {
 public:
  Layouter(const std::string& path, std::span<const Declaration> tensors) : path_(path), tensors_(tensors) {}

  FileLayout run(const Metadata& metadata, std::size_t alignment) {
    check_names();
    FileLayout layout;
    layout.offsets.resize(tensors_.size());
    std::string text = header(metadata, layout);
    text.resize((text.size() + 8 + alignment - 1) / alignment * alignment - 8, ' ');
    if (text.size() > max_header_bytes)
      refuse(fmt::format("a header has at most {} bytes, this has {}", max_header_bytes, text.size()));
    const std::uint64_t length = text.size();
    layout.head.resize(sizeof length);
    std::memcpy(layout.head.data(), &length, sizeof length);
    layout.head += text;
    for (auto& offset : layout.offsets) offset += layout.head.size();
    layout.bytes += layout.head.size();
    return layout;
  }

 private:
  [[noreturn]] void refuse(const std::string& rule) const {
    throw CheckpointError(fmt::format("safetensors: cannot write {}: {}", path_, rule), path_);
  }

  void check_names() const {
    std::vector<std::string_view> names;
    for (const auto& tensor : tensors_) {
      names.push_back(tensor.name);
      if (tensor.name == "__metadata__") refuse("no tensor may have the name \"__metadata__\"");
      if (!find_dtype(tensor.dtype))
        refuse(fmt::format("tensor \"{}\": the format has no dtype \"{}\"", tensor.name, tensor.dtype));
    }
    std::ranges::sort(names);
    const auto twice = std::ranges::adjacent_find(names);
    if (twice != names.end()) refuse(fmt::format("two tensors have the name \"{}\"", *twice));
  }

  std::vector<std::size_t> in_file_order() const {
    std::vector<std::size_t> order(tensors_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
      const auto* dtype_a = find_dtype(tensors_[a].dtype);
      const auto* dtype_b = find_dtype(tensors_[b].dtype);
      return dtype_a != dtype_b ? dtype_a > dtype_b : tensors_[a].name < tensors_[b].name;
    });
    return order;
  }

  std::uint64_t bytes_of(const Declaration& tensor) const {
    std::uint64_t bits = find_dtype(tensor.dtype)->bits, count = 1;
    bool overflow = false;
    for (const auto size : tensor.shape) overflow |= __builtin_mul_overflow(count, size, &count);
    overflow |= __builtin_mul_overflow(bits, count, &bits);
    if (overflow)
      refuse(fmt::format("tensor \"{}\": the size of {} [{}] overflows 64 bits", tensor.name, tensor.dtype,
                         fmt::join(tensor.shape, ", ")));
    if (bits % 8 != 0)
      refuse(fmt::format("tensor \"{}\": {} [{}] does not end on a byte", tensor.name, tensor.dtype,
                         fmt::join(tensor.shape, ", ")));
    return bits / 8;
  }

  // Text for JSON, in quotes.
  std::string quote(const std::string& text) const {
    try {
      return nlohmann::json(text).dump();
    } catch (const nlohmann::json::exception& error) {
      refuse(fmt::format("a name or note is no UTF-8: {}", error.what()));
    }
  }

  std::string header(const Metadata& metadata, FileLayout& layout) const {
    std::vector<std::string> members;
    if (!metadata.empty()) {
      std::vector<std::string> pairs;
      for (const auto& [key, value] : metadata) pairs.push_back(quote(key) + ":" + quote(value));
      members.push_back(fmt::format("\"__metadata__\":{{{}}}", fmt::join(pairs, ",")));
    }
    for (const auto i : in_file_order()) {
      const auto& tensor = tensors_[i];
      const auto begin = layout.bytes;
      if (__builtin_add_overflow(begin, bytes_of(tensor), &layout.bytes) ||
          layout.bytes > (std::uint64_t{1} << 62))
        refuse(fmt::format("tensor \"{}\" makes the file larger than 2^62 bytes", tensor.name));
      layout.offsets[i] = begin;
      members.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                    quote(tensor.name), tensor.dtype, fmt::join(tensor.shape, ","), begin,
                                    layout.bytes));
    }
    return fmt::format("{{{}}}", fmt::join(members, ","));
  }

  const std::string& path_;
  std::span<const Declaration> tensors_;
};

}  // namespace

FileLayout lay_out(const std::string& path, std::span<const Declaration> tensors, const Metadata& metadata,
                   std::size_t alignment) {
  return Layouter(path, tensors).run(metadata, alignment);
}

}  // namespace tutti::safetensors
