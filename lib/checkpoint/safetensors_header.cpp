#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "checkpoint/safetensors_dtype.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"

namespace tutti::safetensors {
namespace {

[[noreturn]] void fail(std::string_view file, std::uint64_t offset, std::string_view rule) {
  throw CheckpointError(fmt::format("safetensors: {}: byte {}: {}", file, offset, rule), file,
                        static_cast<std::int64_t>(offset));
}

// A char iterator that tells how far the parser has come.
class Cursor {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor() = default;
  Cursor(const char* at, const char** seen) : at_(at), seen_(seen) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  Cursor operator++(int) {
    Cursor before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }

 private:
  const char* at_ = nullptr;
  const char** seen_ = nullptr;
};

// Follows the parser through {"__metadata__": {...}, "name": {"dtype": ..., "shape": [...], "data_offsets":
// [...]}}. A document object would hide duplicate keys and follow any nesting; here nothing else is let in.
class Handler {
 public:
  Handler(std::string_view file, const char* text) : file_(file), text_(text), seen_(text) {}

  const char** seen() { return &seen_; }
  Header take() { return std::move(header_); }

  bool start_object(std::size_t) {
    if (place_ == Place::outside) {
      place_ = Place::top;
    } else if (place_ == Place::top_value) {
      if (key_ == "__metadata__") {
        if (std::exchange(metadata_seen_, true)) broken("duplicate key \"__metadata__\"");
        place_ = Place::metadata;
      } else {
        entry_.name = key_;
        place_ = Place::entry;
      }
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool key(std::string& key) {
    key_ = key;
    if (place_ == Place::top) {
      place_ = Place::top_value;
    } else if (place_ == Place::metadata) {
      place_ = Place::metadata_value;
    } else {
      field_ = std::ranges::find(fields, key);
      if (field_ == std::end(fields))
        broken(fmt::format("tensor \"{}\": unknown field \"{}\"", entry_.name, key));
      if (std::exchange(fields_seen_[field_ - fields], true)) {
        broken(fmt::format("tensor \"{}\": duplicate field \"{}\"", entry_.name, key));
      }
      place_ = Place::entry_value;
    }
    return true;
  }

  bool string(std::string& value) {
    if (place_ == Place::metadata_value) {
      if (!header_.metadata.emplace(key_, value).second)
        broken(fmt::format("duplicate metadata key \"{}\"", key_));
      place_ = Place::metadata;
    } else if (place_ == Place::entry_value && *field_ == "dtype") {
      if (!find_dtype(value)) broken(fmt::format("tensor \"{}\": unknown dtype \"{}\"", entry_.name, value));
      entry_.dtype = value;
      place_ = Place::entry;
    } else {
      unexpected("a string");
    }
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ != Place::entry_value || *field_ == "dtype") unexpected("an array");
    place_ = Place::numbers;
    return true;
  }

  bool number_unsigned(std::uint64_t value) {
    if (place_ != Place::numbers) unexpected("a number");
    (*field_ == "shape" ? entry_.shape : offsets_).push_back(value);
    return true;
  }

  bool end_array() {
    if (*field_ == "data_offsets" && offsets_.size() != 2) {
      broken(fmt::format("tensor \"{}\": data_offsets must be two numbers, not {}", entry_.name,
                         offsets_.size()));
    }
    place_ = Place::entry;
    return true;
  }

  bool end_object() {
    if (place_ == Place::entry) {
      for (std::size_t i = 0; i < std::size(fields); ++i) {
        if (!fields_seen_[i])
          broken(fmt::format("tensor \"{}\": field \"{}\" is missing", entry_.name, fields[i]));
        fields_seen_[i] = false;
      }
      add_entry();
    }
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }

  bool null() { return unexpected("null"); }
  bool boolean(bool) { return unexpected("a boolean"); }
  bool number_integer(std::int64_t) { return unexpected("a negative number"); }
  bool number_float(double, const std::string& text) {
    return unexpected(fmt::format("{}, which is no unsigned 64-bit integer", text));
  }
  bool binary(std::vector<std::uint8_t>&) { return unexpected("binary data"); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    broken(fmt::format("the header is no JSON: {}", error.what()));
  }

 private:
  enum class Place { outside, top, top_value, metadata, metadata_value, entry, entry_value, numbers };
  static constexpr std::string_view fields[] = {"dtype", "shape", "data_offsets"};

  [[noreturn]] void broken(std::string_view rule) const {
    fail(file_, 8 + static_cast<std::uint64_t>(seen_ - text_), rule);
  }

  [[noreturn]] bool unexpected(std::string_view met) const {
    switch (place_) {
      case Place::metadata_value:
        broken(fmt::format("metadata \"{}\" must be a string, not {}", key_, met));
      case Place::top_value:
        broken(fmt::format("\"{}\" must be an object, not {}", key_, met));
      case Place::entry_value:
      case Place::numbers:
        broken(fmt::format("tensor \"{}\": {} must be {}, not {}", entry_.name, *field_,
                           *field_ == "dtype" ? "a string" : "a list of unsigned integers", met));
      default:
        broken(fmt::format("the header must be an object, not {}", met));
    }
  }

  void add_entry() {
    const auto [begin, end] = std::pair(offsets_[0], offsets_[1]);
    if (end < begin)
      broken(fmt::format("tensor \"{}\": data_offsets [{}, {}] go backwards", entry_.name, begin, end));
    std::uint64_t bits = find_dtype(entry_.dtype)->bits;
    std::uint64_t count = 1;
    bool overflow = false;
    for (const auto size : entry_.shape) overflow |= __builtin_mul_overflow(count, size, &count);
    overflow |= __builtin_mul_overflow(bits, count, &bits);
    const auto shape = [&] { return fmt::format("{} [{}]", entry_.dtype, fmt::join(entry_.shape, ", ")); };
    if (overflow)
      broken(fmt::format("tensor \"{}\": the size of {} overflows 64 bits", entry_.name, shape()));
    if (bits % 8 != 0) broken(fmt::format("tensor \"{}\": {} does not end on a byte", entry_.name, shape()));
    if (end - begin != bits / 8) {
      broken(fmt::format("tensor \"{}\": {} takes {} bytes, but data_offsets [{}, {}] are {}", entry_.name,
                         shape(), bits / 8, begin, end, end - begin));
    }
    entry_.offset = begin;  // made absolute when all are known to lie in the file
    entry_.bytes = end - begin;
    header_.entries.push_back(std::exchange(entry_, {}));
    offsets_.clear();
  }

  std::string_view file_;
  const char* text_;
  const char* seen_;
  Header header_;
  Place place_ = Place::outside;
  std::string key_;
  Entry entry_;
  const std::string_view* field_ = nullptr;
  bool fields_seen_[3] = {};
  std::vector<std::uint64_t> offsets_;
  bool metadata_seen_ = false;
};

void check_unique_names(const Header& header, std::string_view file) {
  std::vector<std::string_view> names;
  names.reserve(header.entries.size());
  for (const auto& entry : header.entries) names.push_back(entry.name);
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice != names.end()) fail(file, 8, fmt::format("duplicate tensor name \"{}\"", *twice));
}

// The tensors must tile the rest of the file: no hole, no overlap, nothing behind them, unless that is let pass.
void place_entries(Header& header, std::uint64_t data_begin, std::uint64_t file_bytes, std::string_view file,
                   bool lenient) {
  auto& entries = header.entries;
  std::ranges::sort(entries, {}, [](const Entry& e) { return std::pair(e.offset, e.bytes); });
  std::uint64_t expected = 0;
  const std::uint64_t data_bytes = file_bytes - data_begin;
  for (auto& entry : entries) {
    if (entry.offset != expected) {
      fail(file, data_begin + std::min(expected, data_bytes),
           fmt::format("tensor \"{}\" begins at data offset {} where {} is expected: {}", entry.name,
                       entry.offset, expected,
                       entry.offset < expected ? "tensors overlap" : "there is a hole"));
    }
    if (entry.bytes > data_bytes - expected) {
      fail(file, file_bytes,
           fmt::format("tensor \"{}\" ends at data offset {}, but the file has only {} data bytes",
                       entry.name, expected + entry.bytes, data_bytes));
    }
    expected += entry.bytes;
    entry.offset += data_begin;
  }
  if (expected != data_bytes && !lenient) {
    fail(file, data_begin + expected, fmt::format("{} bytes follow the last tensor", data_bytes - expected));
  }
}

}  // namespace

Header parse_header(std::span<const std::byte> bytes, std::uint64_t file_bytes, std::string_view file,
                    const ReadOptions& options) {
  if (file_bytes < 8 || bytes.size() < 8) {
    fail(file, file_bytes,
         fmt::format("a file has at least the 8 bytes of its header's length, this has {}", file_bytes));
  }
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i)
    length = length << 8 | std::to_integer<std::uint64_t>(bytes[static_cast<std::size_t>(i)]);
  if (length > max_header_bytes) {
    fail(file, 0, fmt::format("a header has at most {} bytes, this claims {}", max_header_bytes, length));
  }
  if (length > file_bytes - 8 || length > bytes.size() - 8) {
    fail(file, 0, fmt::format("the header claims {} bytes, but {} follow", length, file_bytes - 8));
  }
  const char* text = reinterpret_cast<const char*>(bytes.data()) + 8;
  const char* end = text + length;
  const char* first =
      std::find_if_not(text, end, [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; });
  if (first == end || *first != '{') {
    fail(file, 8 + static_cast<std::uint64_t>(first - text), "the header must be a JSON object");
  }
  // The JSON library takes a NUL for the end of its input.
  const char* nul = std::find(text, end, '\0');
  if (nul != end) fail(file, 8 + static_cast<std::uint64_t>(nul - text), "the header is no JSON: a NUL byte");

  Handler handler(file, text);
  nlohmann::json::sax_parse(Cursor(text, handler.seen()), Cursor(end, handler.seen()), &handler);
  Header header = handler.take();
  check_unique_names(header, file);
  place_entries(header, 8 + length, file_bytes, file, options.lenient);
  return header;
}

std::optional<DType> Entry::tutti_dtype() const {
  const auto* found = find_dtype(dtype);
  return found ? found->dtype : std::nullopt;
}

}  // namespace tutti::safetensors
