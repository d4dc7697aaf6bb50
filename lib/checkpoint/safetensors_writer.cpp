#include <fmt/format.h>

#include <iterator>
#include <map>
#include <utility>

#include "checkpoint/atomic_file.h"
#include "checkpoint/safetensors_dtype.h"
#include "checkpoint/safetensors_layout.h"
#include "tutti/core/error.h"

namespace tutti::safetensors {
namespace {

// lay_out has seen that it does not overflow.
std::uint64_t bytes_of(const Declaration& declared) {
  std::uint64_t bits = find_dtype(declared.dtype)->bits;
  for (const auto size : declared.shape) bits *= size;
  return bits / 8;
}

Declaration declaration(const std::string& name, DType dtype, const Shape& shape) {
  Declaration declared{name, std::string(format_dtype(dtype).name), {}};
  for (const auto size : shape) declared.shape.push_back(static_cast<std::uint64_t>(size));
  return declared;
}

}  // namespace

struct Writer::File {
  struct Part {
    const Declaration* declared;
    std::uint64_t offset, bytes;
    std::uint64_t next = 0;                            // where an append goes
    std::map<std::uint64_t, std::uint64_t> written{};  // disjoint ranges, begin to end
  };

  File(const std::string& name, std::vector<Declaration> tensors, const Metadata& metadata)
      : path(name),
        declarations(std::move(tensors)),
        layout(lay_out(path, declarations, metadata)),
        file(path) {
    file.write_at(0, layout.head.data(), layout.head.size());
    for (std::size_t i = 0; i < declarations.size(); ++i)
      parts.emplace(declarations[i].name,
                    Part{&declarations[i], layout.offsets[i], bytes_of(declarations[i])});
  }

  [[noreturn]] void refuse(const std::string& rule) const {
    throw CheckpointError(fmt::format("safetensors: cannot write {}: {}", path, rule), path);
  }

  Part& at(std::string_view name) {
    const auto found = parts.find(name);
    if (found == parts.end()) refuse(fmt::format("no tensor \"{}\" was declared", name));
    return found->second;
  }

  void write(std::string_view name, std::uint64_t first, std::span<const std::byte> data) {
    auto& part = at(name);
    if (first > part.bytes || data.size() > part.bytes - first) {
      refuse(fmt::format("tensor \"{}\" has {} bytes, not [{}, {} + {})", name, part.bytes, first, first,
                         data.size()));
    }
    if (data.empty()) return;
    const auto end = first + data.size();
    auto after = part.written.lower_bound(first);
    const auto before = after == part.written.begin() ? part.written.end() : std::prev(after);
    if ((after != part.written.end() && after->first < end) ||
        (before != part.written.end() && before->second > first)) {
      refuse(fmt::format("bytes of [{}, {}) of tensor \"{}\" were written before", first, end, name));
    }
    file.write_at(part.offset + first, data.data(), data.size());
    written += data.size();
    part.next = end;
    // Joined to its neighbours, so that there are few ranges.
    const bool joins = before != part.written.end() && before->second == first;
    const auto range = joins ? before : part.written.emplace_hint(after, first, end);
    range->second = end;
    if (after != part.written.end() && after->first == end) {
      range->second = after->second;
      part.written.erase(after);
    }
  }

  void commit() {
    for (const auto& [name, part] : parts) {
      const auto first = part.written.begin();
      const auto whole = first != part.written.end() && first->first == 0 ? first->second : 0;
      if (whole < part.bytes)
        refuse(fmt::format("byte {} of the {} of tensor \"{}\" is missing", whole, part.bytes, name));
    }
    file.commit();
  }

  const std::string path;
  const std::vector<Declaration> declarations;
  const FileLayout layout;
  checkpoint::AtomicFile file;
  std::map<std::string_view, Part> parts;
  std::uint64_t written = 0;
};

Writer::Writer(const std::string& path, std::vector<Declaration> tensors, const Metadata& metadata)
    : file_(std::make_unique<File>(path, std::move(tensors), metadata)) {}
Writer::Writer(Writer&&) noexcept = default;
Writer::~Writer() = default;

void Writer::append(std::string_view name, std::span<const std::byte> bytes) {
  file_->write(name, file_->at(name).next, bytes);
}

void Writer::write(std::string_view name, std::uint64_t first, std::span<const std::byte> bytes) {
  file_->write(name, first, bytes);
}

void Writer::write(std::string_view name, ConstBufferView data) {
  const auto& part = file_->at(name);
  const auto refusal = [&](const std::string& rule) {
    return fmt::format("safetensors: cannot write {}: tensor \"{}\" {}", file_->path, name, rule);
  };
  if (!data.device.is_cpu()) throw DeviceError(refusal("is on " + data.device.str()));
  if (const auto& dtype = format_dtype(data.dtype).name; dtype != part.declared->dtype)
    throw DTypeError(refusal(fmt::format("was declared as {}, not {}", part.declared->dtype, dtype)));
  if (data.bytes() != part.bytes)
    throw ShapeError(refusal(fmt::format("has {} bytes, the buffer {}", part.bytes, data.bytes())));
  file_->write(name, 0, {static_cast<const std::byte*>(data.data), data.bytes()});
}

std::uint64_t Writer::bytes() const { return file_->layout.bytes - file_->layout.head.size(); }
std::uint64_t Writer::written() const { return file_->written; }
void Writer::commit() { file_->commit(); }

void write(const std::string& path, std::span<const Item> items, const Metadata& metadata) {
  std::vector<Declaration> declarations;
  for (const auto& item : items) {
    if (static_cast<std::size_t>(item.shape.numel()) != item.data.count) {
      throw CheckpointError(
          fmt::format("safetensors: cannot write {}: tensor \"{}\" has shape {} and {} elements", path,
                      item.name, item.shape.str(), item.data.count),
          path);
    }
    declarations.push_back(declaration(item.name, item.data.dtype, item.shape));
  }
  Writer writer(path, std::move(declarations), metadata);
  for (const auto& item : items) writer.write(item.name, item.data);
  writer.commit();
}

void save(const std::string& path, const NamedTensors& tensors, const Metadata& metadata) {
  std::vector<Declaration> declarations;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) {
      throw CheckpointError(
          fmt::format("safetensors: cannot write {}: tensor \"{}\" is undefined", path, name), path);
    }
    declarations.push_back(declaration(name, tensor.dtype(), tensor.shape()));
  }
  Writer writer(path, std::move(declarations), metadata);
  for (const auto& [name, tensor] : tensors)
    writer.write(name, ConstBufferView(tensor.detach().to(Device::cpu()).contiguous()));
  writer.commit();
}

}  // namespace tutti::safetensors
