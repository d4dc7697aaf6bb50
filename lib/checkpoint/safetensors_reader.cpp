#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <limits>
#include <utility>

#include "checkpoint/directory.h"
#include "kernels/memory.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::safetensors {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the format is little endian, and read without conversion");

// Reads at `offset` up to the end of `out` or of the file; returns the bytes read.
std::size_t read_at(int descriptor, std::span<std::byte> out, std::uint64_t offset, const std::string& path) {
  std::size_t done = 0;
  while (done < out.size()) {
    const auto got =
        ::pread(descriptor, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) checkpoint::throw_system_error("read", path);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Header read_header(int descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) checkpoint::throw_system_error("read", path);
  if (!S_ISREG(status.st_mode))
    throw CheckpointError(fmt::format("safetensors: {} is no regular file", path), path);
  const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
  std::vector<std::byte> bytes(8);
  bytes.resize(read_at(descriptor, bytes, 0, path));
  std::uint64_t length = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    length = length << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  // A length that cannot be is left to parse_header to refuse: nothing is allocated for it.
  if (bytes.size() == 8 && length <= max_header_bytes && length <= file_bytes - 8) {
    bytes.resize(8 + length);
    bytes.resize(read_at(descriptor, bytes, 0, path));
  }
  return parse_header(bytes, file_bytes, path);
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
void check_bools(std::span<const std::byte> bytes, const Entry& entry, const std::string& path) {
  const auto bad = std::ranges::find_if(bytes, [](std::byte b) { return b > std::byte{1}; });
  if (bad == bytes.end()) return;
  const auto offset = entry.offset + static_cast<std::uint64_t>(bad - bytes.begin());
  throw CheckpointError(fmt::format("safetensors: {}: byte {}: tensor \"{}\": a BOOL is 0 or 1, not {}", path,
                                    offset, entry.name, std::to_integer<int>(*bad)),
                        path, static_cast<std::int64_t>(offset));
}

}  // namespace

Reader::Reader(const std::string& path)
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    : path_(path), descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0) checkpoint::throw_system_error("open", path);
  try {
    header_ = read_header(descriptor_, path);
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

Reader::Reader(Reader&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      header_(std::move(other.header_)) {}

Reader::~Reader() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

const Entry& Reader::at(std::string_view name) const {
  const auto found = std::ranges::find(entries(), name, &Entry::name);
  if (found == entries().end()) {
    throw CheckpointError(fmt::format("safetensors: {} has no tensor \"{}\"", path_, name), path_);
  }
  return *found;
}

void Reader::read(const Entry& entry, BufferView out) const {
  const DType dtype = dtype_of_entry(entry, path_);
  if (out.dtype != dtype) {
    throw DTypeError(fmt::format("safetensors: {}: tensor \"{}\" is {}, the buffer {}", path_, entry.name,
                                 name_of(dtype), name_of(out.dtype)));
  }
  if (out.bytes() != entry.bytes) {
    throw ShapeError(fmt::format("safetensors: {}: tensor \"{}\" has {} elements, the buffer {}", path_,
                                 entry.name, entry.bytes / size_of(dtype), out.count));
  }
  if (!out.device.is_cpu()) {
    std::vector<std::byte> staging(entry.bytes);
    read(entry, BufferView(staging.data(), out.count, dtype));
    kernels::copy_bytes(out.data, out.device, staging.data(), Device::cpu(), staging.size());
    return;
  }
  const std::span bytes(static_cast<std::byte*>(out.data), entry.bytes);
  const auto got = read_at(descriptor_, bytes, entry.offset, path_);
  if (got != bytes.size()) {
    throw CheckpointError(fmt::format("safetensors: {}: the file ends at byte {}, inside tensor \"{}\"",
                                      path_, entry.offset + got, entry.name),
                          path_, static_cast<std::int64_t>(entry.offset + got));
  }
  if (dtype == DType::bool_) check_bools(bytes, entry, path_);
}

Tensor Reader::read(const Entry& entry) const {
  Tensor tensor = empty(shape_of(entry, path_), {.dtype = dtype_of_entry(entry, path_)});
  read(entry, BufferView(tensor));
  return tensor;
}

NamedTensors load(const std::string& path) {
  const Reader reader(path);
  NamedTensors tensors;
  for (const auto& entry : reader.entries()) tensors.push_back({entry.name, reader.read(entry)});
  return tensors;
}

}  // namespace tutti::safetensors
