#include "checkpoint/manifest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "checkpoint/checksum.h"
#include "checkpoint/safetensors_dtype.h"
#include "checkpoint/strict_json.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

using nlohmann::json;

constexpr std::string_view format = "tutti-checkpoint";
constexpr int version = 1;
constexpr std::string_view digest_key = ",\n\"digest\":\"";
constexpr std::size_t digest_digits = 32;
constexpr std::string_view end_of_text = "\"}\n";
constexpr std::size_t tail = digest_key.size() + digest_digits + end_of_text.size();
constexpr std::int64_t most_bytes = std::int64_t{1} << 62;

class Parser {
 public:
  Parser(std::string_view text, const std::string& file)
      : file_(file), document_(parse_strict(text, file, 4)) {}

  Manifest parse() {
    if (!document_.is_object() || text(document_, "format") != format) refuse("it is no manifest");
    const auto needed = number(document_, "version", 1);
    if (needed != version) {
      refuse(fmt::format(
          "it has version {} of the format, and this Tutti reads version {}: use the Tutti that wrote it, {}",
          needed, version, text(document_, "tutti")));
    }
    for (const auto& feature : list(document_, "features"))
      refuse(fmt::format("it needs the feature {}, which this Tutti has not", feature.dump()));
    manifest_ = {.uuid = hexadecimal(document_, "uuid"),
                 .steps = number(document_, "steps", 0),
                 .world_size = number(document_, "world_size", 1),
                 .logical_ranks = number(document_, "logical_ranks", 1),
                 .tutti_version = text(document_, "tutti"),
                 .files = {},
                 .tensors = {}};
    for (const auto& item : list(document_, "files")) manifest_.files.push_back(parse_file(item));
    for (const auto& item : list(document_, "tensors"))
      manifest_.tensors.push_back(parse_tensor(item, static_cast<std::int64_t>(manifest_.files.size())));
    unique(manifest_.files, &ManifestFile::name);
    unique(manifest_.tensors, &ManifestTensor::name);
    return std::move(manifest_);
  }

 private:
  [[noreturn]] void refuse(std::string_view rule) const {
    throw CheckpointError(fmt::format("checkpoint: {}: {}", file_, rule), file_);
  }

  const json& at(const json& object, const char* key) const {
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (found == object.end()) refuse(fmt::format("\"{}\" is missing", key));
    return *found;
  }
  std::string text(const json& object, const char* key) const {
    const auto& value = at(object, key);
    if (!value.is_string()) refuse(fmt::format("\"{}\" must be a string, not {}", key, value.dump()));
    return value.get<std::string>();
  }
  std::string hexadecimal(const json& object, const char* key) const {
    auto value = text(object, key);
    if (value.size() != digest_digits || value.find_first_not_of("0123456789abcdef") != std::string::npos)
      refuse(fmt::format("\"{}\" must be {} hexadecimal digits, not \"{}\"", key, digest_digits, value));
    return value;
  }
  std::int64_t number(const json& value, std::int64_t least, std::string_view what) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > static_cast<std::uint64_t>(most_bytes) ||
        value.get<std::int64_t>() < least) {
      refuse(fmt::format("{} must be an integer from {} to 2^62, not {}", what, least, value.dump()));
    }
    return value.get<std::int64_t>();
  }
  std::int64_t number(const json& object, const char* key, std::int64_t least) const {
    return number(at(object, key), least, fmt::format("\"{}\"", key));
  }
  const json& list(const json& object, const char* key) const {
    const auto& value = at(object, key);
    if (!value.is_array()) refuse(fmt::format("\"{}\" must be a list", key));
    return value;
  }
  template <typename T>
  void unique(const std::vector<T>& items, std::string T::*name) const {
    std::vector<std::string_view> names;
    for (const auto& item : items) names.push_back(item.*name);
    std::ranges::sort(names);
    const auto twice = std::ranges::adjacent_find(names);
    if (twice != names.end()) refuse(fmt::format("\"{}\" is there twice", *twice));
  }

  ManifestFile parse_file(const json& item) const {
    ManifestFile file{.name = text(item, "name"),
                      .prefix = text(item, "prefix"),
                      .bytes = static_cast<std::uint64_t>(number(item, "bytes", 8)),
                      .head_bytes = static_cast<std::uint64_t>(number(item, "head_bytes", 8)),
                      .head_digest = hexadecimal(item, "head_digest")};
    // A word of these can neither leave the directory nor mean something to a system.
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (file.name.empty() || file.name.size() > 200 || file.name.starts_with('.') ||
        file.name.find_first_not_of(letters) != std::string::npos || file.name == manifest_name) {
      refuse(fmt::format("{} cannot be the name of a file here", in_quotes(file.name)));
    }
    if (file.head_bytes > file.bytes)
      refuse(fmt::format("the head of \"{}\" is larger than the file", file.name));
    return file;
  }

  Shape parse_shape(const json& item, const std::string& name, DType dtype) const {
    const auto& sizes = list(item, "shape");
    if (sizes.size() > Shape::max_rank)
      refuse(
          fmt::format("tensor \"{}\" has {} dimensions, more than {}", name, sizes.size(), Shape::max_rank));
    Shape shape;
    std::int64_t product = static_cast<std::int64_t>(size_of(dtype));
    for (const auto& size : sizes) {
      shape.push_back(number(size, 0, fmt::format("a size of tensor \"{}\"", name)));
      // Sizes of zero are no way around the limit.
      if (__builtin_mul_overflow(product, std::max<std::int64_t>(shape[shape.rank() - 1], 1), &product) ||
          product > most_bytes)
        refuse(fmt::format("tensor \"{}\" is larger than 2^62 bytes", name));
    }
    return shape;
  }

  ManifestTensor parse_tensor(const json& item, std::int64_t files) const {
    ManifestTensor tensor{.name = text(item, "name"), .shape = {}, .sharding = {}};
    const auto dtype_name = text(item, "dtype");
    const auto* dtype = safetensors::find_dtype(dtype_name);
    if (!dtype || !dtype->dtype)
      refuse(fmt::format("tensor \"{}\": Tutti has no dtype \"{}\"", tensor.name, dtype_name));
    tensor.dtype = *dtype->dtype;
    tensor.shape = parse_shape(item, tensor.name, tensor.dtype);
    if (item.contains("file")) {
      tensor.file = static_cast<int>(number(item, "file", 0));
      if (number(item, "file", 0) >= files)
        refuse(fmt::format("tensor \"{}\" is in file {} of {}", tensor.name, tensor.file, files));
      const auto& prefix = manifest_.files[static_cast<std::size_t>(tensor.file)].prefix;
      if (!tensor.name.starts_with(prefix))
        refuse(
            fmt::format("tensor \"{}\" does not begin with \"{}\", as its file's do", tensor.name, prefix));
      return tensor;
    }
    auto& [offset, share] = tensor.sharding;
    offset = number(item, "offset", 0);
    share = number(item, "share", 1);
    for (const auto& file : manifest_.files) {
      if (!file.prefix.empty())
        refuse(fmt::format("tensor \"{}\" is spread over files, of which \"{}\" has the prefix \"{}\"",
                           tensor.name, file.name, file.prefix));
    }
    const auto size = static_cast<std::int64_t>(size_of(tensor.dtype));
    std::int64_t capacity = 0;
    if (offset % size != 0 || share % size != 0)
      refuse(fmt::format("tensor \"{}\" is cut inside an element: offset {}, share {}", tensor.name, offset,
                         share));
    if (__builtin_mul_overflow(share, files, &capacity) || capacity > most_bytes || offset > capacity ||
        tensor.bytes() > capacity - offset) {
      refuse(fmt::format("tensor \"{}\", {} bytes at {}, does not lie in {} shares of {} bytes", tensor.name,
                         tensor.bytes(), offset, files, share));
    }
    return tensor;
  }

  const std::string& file_;
  json document_;
  Manifest manifest_;
};

}  // namespace

std::optional<Sharding::Range> Manifest::piece(const ManifestTensor& tensor, std::size_t file) const {
  const auto index = static_cast<int>(file);
  if (tensor.file >= 0) {
    if (tensor.file != index) return std::nullopt;
    return Sharding::Range{0, tensor.bytes()};
  }
  const auto range = tensor.sharding.range(index, tensor.bytes());
  const auto last = static_cast<std::int64_t>(files.size()) - 1;
  const bool empty_here =
      tensor.bytes() == 0 && std::min(tensor.sharding.offset / tensor.sharding.share, last) == index;
  if (range.size() == 0 && !empty_here) return std::nullopt;
  return range;
}

std::string Manifest::name_in(const ManifestFile& file, const ManifestTensor& tensor) {
  return tensor.name.substr(file.prefix.size());
}

std::string text_of(const Manifest& manifest) {
  std::string text = fmt::format(
      R"({{"format":"{}","version":{},"features":[],"tutti":{},"uuid":"{}","steps":{},"world_size":{},"logical_ranks":{})",
      format, version, in_quotes(manifest.tutti_version), manifest.uuid, manifest.steps, manifest.world_size,
      manifest.logical_ranks);
  auto out = std::back_inserter(text);
  const char* separator = ",\n\"files\":[\n";
  if (manifest.files.empty()) text += ",\n\"files\":[";
  for (const auto& file : manifest.files) {
    fmt::format_to(out, R"({}{{"name":"{}","prefix":{},"bytes":{},"head_bytes":{},"head_digest":"{}"}})",
                   separator, file.name, in_quotes(file.prefix), file.bytes, file.head_bytes,
                   file.head_digest);
    separator = ",\n";
  }
  separator = "],\n\"tensors\":[\n";
  if (manifest.tensors.empty()) text += "],\n\"tensors\":[";
  for (const auto& tensor : manifest.tensors) {
    fmt::format_to(out, R"({}{{"name":{},"dtype":"{}","shape":[{}],)", separator, in_quotes(tensor.name),
                   safetensors::format_dtype(tensor.dtype).name,
                   fmt::join(tensor.shape.begin(), tensor.shape.end(), ","));
    if (tensor.file >= 0) {
      fmt::format_to(out, R"("file":{}}})", tensor.file);
    } else {
      fmt::format_to(out, R"("offset":{},"share":{}}})", tensor.sharding.offset, tensor.sharding.share);
    }
    separator = ",\n";
  }
  text += "]";
  const auto hash = digest(text);
  text += digest_key;
  text += hash;
  text += end_of_text;
  return text;
}

std::string digest_of(std::string_view text) {
  return std::string(text.substr(text.size() - tail + digest_key.size(), digest_digits));
}

Manifest parse_manifest(std::string_view text, const std::string& file) {
  if (text.size() < tail || text.substr(text.size() - tail, digest_key.size()) != digest_key ||
      !text.ends_with(end_of_text)) {
    throw CheckpointError(
        fmt::format("checkpoint: {}: it does not end with a digest: it is cut off, or no manifest ({} bytes)",
                    file, text.size()),
        file, static_cast<std::int64_t>(text.size()));
  }
  const auto expected = digest_of(text), found = digest(text.substr(0, text.size() - tail));
  if (expected != found) {
    throw CheckpointError(
        fmt::format("checkpoint: {}: it is damaged: its digest is {}, and it says {}", file, found, expected),
        file);
  }
  return Parser(text, file).parse();
}

}  // namespace tutti::checkpoint
