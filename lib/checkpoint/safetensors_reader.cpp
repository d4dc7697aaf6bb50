#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "checkpoint/directory.h"
#include "checkpoint/disk_file.h"
#include "checkpoint/safetensors_entry.h"
#include "kernels/memory.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::safetensors {

Reader::Reader(const std::string& path, const ReadOptions& options)
    // Without O_NONBLOCK, opening a FIFO would wait for a writer.
    : path_(path), descriptor_(checkpoint::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK)) {
  if (descriptor_ < 0) checkpoint::throw_system_error("open", path);
  try {
    header_ = read_header(descriptor_, path, options);
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

const Entry& Reader::at(std::string_view name) const { return find_entry(header_, name, path_); }

void Reader::read_bytes(const Entry& entry, std::uint64_t first, std::span<std::byte> out) const {
  if (first > entry.bytes || out.size() > entry.bytes - first) {
    throw ShapeError(fmt::format("safetensors: {}: tensor \"{}\" has {} bytes, not [{}, {} + {})", path_,
                                 entry.name, entry.bytes, first, first, out.size()));
  }
  const auto begin = entry.offset + first;
  const auto got = checkpoint::read_at(descriptor_, out.data(), out.size(), begin, path_);
  if (got < out.size()) {
    throw CheckpointError(fmt::format("safetensors: {}: the file ends at byte {}, inside tensor \"{}\"",
                                      path_, begin + got, entry.name),
                          path_, static_cast<std::int64_t>(begin + got));
  }
}

void Reader::read(const Entry& entry, std::uint64_t first, BufferView out) const {
  const DType dtype = dtype_of_entry(entry, path_);
  if (out.dtype != dtype) {
    throw DTypeError(fmt::format("safetensors: {}: tensor \"{}\" is {}, the buffer {}", path_, entry.name,
                                 name_of(dtype), name_of(out.dtype)));
  }
  const auto count = entry.bytes / size_of(dtype);
  if (first > count || out.count > count - first) {
    throw ShapeError(fmt::format("safetensors: {}: tensor \"{}\" has {} elements, not [{}, {} + {})", path_,
                                 entry.name, count, first, first, out.count));
  }
  if (!out.device.is_cpu()) {
    std::vector<std::byte> staging(out.bytes());
    read(entry, first, BufferView(staging.data(), out.count, dtype));
    kernels::copy_bytes(out.data, out.device, staging.data(), Device::cpu(), staging.size());
    return;
  }
  const std::span bytes(static_cast<std::byte*>(out.data), out.bytes());
  read_bytes(entry, first * size_of(dtype), bytes);
  if (dtype == DType::bool_) check_bools(bytes, entry, first, path_);
}

void Reader::read(const Entry& entry, BufferView out) const {
  if (const auto dtype = entry.tutti_dtype(); dtype == out.dtype && out.bytes() != entry.bytes) {
    throw ShapeError(fmt::format("safetensors: {}: tensor \"{}\" has {} elements, the buffer {}", path_,
                                 entry.name, entry.bytes / size_of(*dtype), out.count));
  }
  read(entry, 0, out);
}

Tensor Reader::read(const Entry& entry) const {
  Tensor tensor = empty(shape_of(entry, path_), {dtype_of_entry(entry, path_), Device::cpu()});
  read(entry, BufferView(tensor));
  return tensor;
}

NamedTensors load(const std::string& path, const ReadOptions& options) {
  const Reader reader(path, options);
  NamedTensors tensors;
  for (const auto& entry : reader.entries()) tensors.push_back({entry.name, reader.read(entry)});
  return tensors;
}

}  // namespace tutti::safetensors
