#include <fcntl.h>
#include <sys/mman.h>

#include <bit>
#include <cstring>

#include "checkpoint/directory.h"
#include "checkpoint/disk_file.h"
#include "checkpoint/safetensors_entry.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::safetensors {

struct Mapping::Map {
  std::string path;
  Header header;
  std::byte* data = nullptr;
  std::size_t bytes = 0;

  Map(const std::string& file, const ReadOptions& options) : path(file) {
    const checkpoint::Descriptor descriptor(
        checkpoint::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK));  // a FIFO would wait for a writer
    if (!descriptor) checkpoint::throw_system_error("open", path);
    header = read_header(descriptor.get(), path, options);
    bytes = checkpoint::file_size(descriptor.get(), path);
    // Private: tensors are for changing, files are not.
    void* const memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor.get(), 0);
    if (memory == MAP_FAILED) checkpoint::throw_system_error("map", path);
    data = static_cast<std::byte*>(memory);
  }
  Map(const Map&) = delete;
  Map& operator=(const Map&) = delete;
  ~Map() {
    if (data) ::munmap(data, bytes);
  }
};

Mapping::Mapping(const std::string& path, const ReadOptions& options)
    : map_(std::make_shared<Map>(path, options)) {}

const std::string& Mapping::path() const { return map_->path; }
const std::vector<Entry>& Mapping::entries() const { return map_->header.entries; }
const Metadata& Mapping::metadata() const { return map_->header.metadata; }
const Entry& Mapping::at(std::string_view name) const { return find_entry(map_->header, name, path()); }

std::span<const std::byte> Mapping::bytes(const Entry& entry) const {
  return {map_->data + entry.offset, entry.bytes};
}

Tensor Mapping::tensor(const Entry& entry) const {
  const auto shape = shape_of(entry, path());
  const auto dtype = dtype_of_entry(entry, path());
  if (dtype == DType::bool_) check_bools(bytes(entry), entry, 0, path());
  if (entry.offset % size_of(dtype) != 0 || entry.bytes == 0) {
    Tensor copy = empty(shape, {dtype, Device::cpu()});
    if (entry.bytes > 0) std::memcpy(copy.raw_data(), map_->data + entry.offset, entry.bytes);
    return copy;
  }
  return from_buffer(BufferView(map_->data + entry.offset, static_cast<std::size_t>(shape.numel()), dtype),
                     shape, map_);
}

}  // namespace tutti::safetensors
