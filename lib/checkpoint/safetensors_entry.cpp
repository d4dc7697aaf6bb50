#include "checkpoint/safetensors_entry.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "checkpoint/directory.h"
#include "checkpoint/disk_file.h"
#include "tutti/core/error.h"

namespace tutti::safetensors {

static_assert(std::endian::native == std::endian::little,
              "the format is little endian, and read without conversion");

const Entry& find_entry(const Header& header, std::string_view name, const std::string& path) {
  const auto found = std::ranges::find(header.entries, name, &Entry::name);
  if (found == header.entries.end())
    throw CheckpointError(fmt::format("safetensors: {} has no tensor \"{}\"", path, name), path);
  return *found;
}

// Tutti's shape for the entry, if it has one: as for `empty`, the product of the sizes other than 0 must
// leave room for the bytes of an element.
Shape shape_of(const Entry& entry, const std::string& path) {
  const auto refuse = [&](std::string_view rule) {
    throw CheckpointError(fmt::format("safetensors: {}: tensor \"{}\": {}", path, entry.name, rule), path,
                          static_cast<std::int64_t>(entry.offset));
  };
  if (entry.shape.size() > Shape::max_rank) {
    refuse(fmt::format("{} dimensions, and a Tensor has at most {}", entry.shape.size(), Shape::max_rank));
  }
  Shape shape;
  std::int64_t product = 1;
  for (const auto size : entry.shape) {
    if (size > std::numeric_limits<std::int64_t>::max() ||
        __builtin_mul_overflow(product, std::max<std::int64_t>(static_cast<std::int64_t>(size), 1),
                               &product) ||
        product > (INT64_MAX >> 4)) {
      refuse("its sizes overflow 63 bits");
    }
    shape.push_back(static_cast<std::int64_t>(size));
  }
  return shape;
}

DType dtype_of_entry(const Entry& entry, const std::string& path) {
  const auto dtype = entry.tutti_dtype();
  if (!dtype) {
    throw CheckpointError(
        fmt::format("safetensors: {}: tensor \"{}\": Tutti has no dtype {}", path, entry.name, entry.dtype),
        path, static_cast<std::int64_t>(entry.offset));
  }
  return *dtype;
}

// Any other byte in a C++ bool would be undefined behaviour later.
void check_bools(std::span<const std::byte> bytes, const Entry& entry, std::uint64_t first,
                 const std::string& path) {
  const auto bad = std::ranges::find_if(bytes, [](std::byte b) { return b > std::byte{1}; });
  if (bad == bytes.end()) return;
  const auto offset = entry.offset + first + static_cast<std::uint64_t>(bad - bytes.begin());
  throw CheckpointError(fmt::format("safetensors: {}: byte {}: tensor \"{}\": a BOOL is 0 or 1, not {}", path,
                                    offset, entry.name, std::to_integer<int>(*bad)),
                        path, static_cast<std::int64_t>(offset));
}

Header read_header(int descriptor, const std::string& path, const ReadOptions& options) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) checkpoint::throw_system_error("read", path);
  if (!S_ISREG(status.st_mode))
    throw CheckpointError(fmt::format("safetensors: {} is no regular file", path), path);
  const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
  std::vector<std::byte> bytes(8);
  bytes.resize(checkpoint::read_at(descriptor, bytes.data(), bytes.size(), 0, path));
  std::uint64_t length = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    length = length << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  // A length that cannot be is left to parse_header to refuse: nothing is allocated for it.
  if (bytes.size() == 8 && length <= max_header_bytes && length <= file_bytes - 8) {
    bytes.resize(8 + length);
    bytes.resize(checkpoint::read_at(descriptor, bytes.data(), bytes.size(), 0, path));
  }
  return parse_header(bytes, file_bytes, path, options);
}

}  // namespace tutti::safetensors
