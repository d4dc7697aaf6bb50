#include "tutti/data/idx.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include "data/byte_source.h"
#include "data/file.h"
#include "tutti/core/error.h"

namespace tutti::data {
namespace {

std::optional<DType> dtype_of_code(int code) {
  switch (code) {
    case 0x08:
      return DType::u8;
    case 0x0c:
      return DType::i32;
    case 0x0d:
      return DType::f32;
    case 0x0e:
      return DType::f64;
    default:
      return std::nullopt;
  }
}

// Reads all of `out`, which is `what` of the file.
void read_all(ByteSource& source, std::span<std::byte> out, std::string_view what) {
  const auto got = source.read(out);
  if (got != out.size())
    throw DataError(fmt::format("truncated: {} takes {} bytes, {} follow", what, out.size(), got));
}

IdxFile parse_header(ByteSource& source) {
  std::array<std::byte, 4> magic;
  read_all(source, magic, "the magic number");
  const auto [zero0, zero1, code, rank] = magic;
  const auto hex = [](std::byte b) { return fmt::format("{:02x}", std::to_integer<int>(b)); };
  if (zero0 != std::byte{} || zero1 != std::byte{}) {
    throw DataError(fmt::format("no IDX file: it must begin with 00 00, not {} {}", hex(zero0), hex(zero1)));
  }
  const auto dtype = dtype_of_code(std::to_integer<int>(code));
  if (!dtype) {
    throw DataError(fmt::format(
        "the type of elements must be 08 (u8), 0c (i32), 0d (f32) or 0e (f64), not {}", hex(code)));
  }
  const int dimensions = std::to_integer<int>(rank);
  if (dimensions < 1 || dimensions > Shape::max_rank) {
    throw DataError(
        fmt::format("the number of dimensions must be 1 to {}, not {}", Shape::max_rank, dimensions));
  }
  IdxFile file{.dtype = *dtype, .shape = {}, .bytes = {}};
  for (int i = 0; i < dimensions; ++i) {
    std::array<std::byte, 4> bytes;
    read_all(source, bytes, "a size");
    std::int64_t size = 0;
    for (const auto byte : bytes) size = size << 8 | std::to_integer<std::int64_t>(byte);
    file.shape.push_back(size);
  }
  return file;
}

// The bytes that the sizes claim, if so many can follow.
std::size_t payload_bytes(const IdxFile& file, const ByteSource& source) {
  auto bytes = static_cast<std::int64_t>(size_of(file.dtype));
  bool overflow = false;
  for (const auto size : file.shape) overflow |= __builtin_mul_overflow(bytes, size, &bytes);
  if (overflow || static_cast<std::uint64_t>(bytes) > source.bound()) {
    throw DataError(fmt::format("truncated: {} {} takes {} bytes, at most {} follow", name_of(file.dtype),
                                file.shape.str(), overflow ? "2^63 or more" : std::to_string(bytes),
                                source.bound()));
  }
  return static_cast<std::size_t>(bytes);
}

// IDX is big endian; every machine that Tutti runs on is little endian.
void swap_bytes(std::span<std::byte> bytes, std::size_t width) {
  for (std::size_t i = 0; i + width <= bytes.size(); i += width)
    std::ranges::reverse(bytes.subspan(i, width));
}

IdxFile parse(std::span<const std::byte> bytes) {
  const auto source = open_source(bytes);
  IdxFile file = parse_header(*source);
  const auto payload = payload_bytes(file, *source);
  constexpr std::size_t step = 1 << 20;  // compressed bytes may promise a thousand times more than they hold
  while (file.bytes.size() < payload) {
    const auto done = file.bytes.size();
    file.bytes.resize(std::min(payload, done + std::max(done, step)));
    const auto got = source->read(std::span(file.bytes).subspan(done));
    if (done + got < file.bytes.size()) {
      throw DataError(fmt::format("truncated: {} {} takes {} bytes, {} follow", name_of(file.dtype),
                                  file.shape.str(), payload, done + got));
    }
  }
  std::array<std::byte, 1> extra;
  if (source->read(extra) != 0) {
    throw DataError(
        fmt::format("bytes follow the last element of {} {}", name_of(file.dtype), file.shape.str()));
  }
  swap_bytes(file.bytes, size_of(file.dtype));
  return file;
}

}  // namespace

IdxFile parse_idx(std::span<const std::byte> bytes, std::string_view name) {
  try {
    return parse(bytes);
  } catch (const DataError& error) {
    throw DataError(fmt::format("idx: {}: {}", name, error.what()));
  }
}

IdxFile read_idx(const std::string& path) {
  const auto bytes = read_file("idx", path);
  return parse_idx(std::as_bytes(std::span(bytes)), path);
}

}  // namespace tutti::data
