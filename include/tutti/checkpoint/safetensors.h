/// \file
/// Files of named tensors in the safetensors format, which Python's `safetensors` reads and writes:
/// https://github.com/huggingface/safetensors. Read strictly by its specification, written atomically.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tutti/core/buffer_view.h"
#include "tutti/core/dtype.h"
#include "tutti/core/shape.h"
#include "tutti/tensor/named_tensor.h"

namespace tutti::safetensors {

/// The file's own notes, by key.
using Metadata = std::map<std::string, std::string>;

/// No header may be larger, in reading and in writing.
inline constexpr std::uint64_t max_header_bytes = 100'000'000;

/// What a file says about one tensor. The format knows types and sizes that Tutti does not have: these are
/// listed too, and refused when read.
struct Entry {
  std::string name;
  std::string dtype;  ///< as in the file: "F32", "F8_E4M3", ...
  std::vector<std::uint64_t> shape;
  std::uint64_t offset = 0;  ///< of the first byte, from the start of the file
  std::uint64_t bytes = 0;

  /// Tutti's name for `dtype`; none where Tutti lacks it.
  std::optional<DType> tutti_dtype() const;
};

struct Header {
  std::vector<Entry> entries;  ///< in the order of their offsets
  Metadata metadata;
};

/// Parses and checks the header at the start of `bytes`, of a file of `file_bytes` bytes; `file` is the name
/// for errors. `bytes` may end with the header.
/// \throws CheckpointError with the byte at which a rule of the format is broken.
Header parse_header(std::span<const std::byte> bytes, std::uint64_t file_bytes, std::string_view file);

/// An open file, its header checked.
class Reader {
 public:
  /// \throws CheckpointError when `path` is no regular file, cannot be read, or breaks a rule of the format.
  explicit Reader(const std::string& path);
  Reader(Reader&& other) noexcept;
  Reader& operator=(Reader&&) = delete;
  ~Reader();

  const std::string& path() const { return path_; }
  const std::vector<Entry>& entries() const { return header_.entries; }
  const Metadata& metadata() const { return header_.metadata; }
  /// \throws CheckpointError when the file has no tensor of that name.
  const Entry& at(std::string_view name) const;

  /// Reads the elements of `entry`, row-major, into `out`.
  /// \throws DTypeError, ShapeError when `out` has another type or count.
  /// \throws CheckpointError when the file became shorter, cannot be read, or has a BOOL other than 0 and 1.
  void read(const Entry& entry, BufferView out) const;
  /// Reads `entry` into a new tensor on the host.
  /// \throws CheckpointError also for types and shapes that Tutti does not have.
  Tensor read(const Entry& entry) const;

 private:
  std::string path_;
  int descriptor_;
  Header header_;
};

/// A tensor that a file is going to hold.
struct Declaration {
  std::string name;
  std::string dtype;  ///< of the format: "F32", "F8_E4M3", ...
  std::vector<std::uint64_t> shape;
};

/// Contiguous elements to be written, row-major.
struct Item {
  std::string name;
  Shape shape;
  ConstBufferView data;
};

/// Writes `items` to `path`. Whatever stops it, `path` holds either the old file or the whole new one: the
/// bytes go to a temporary file beside it, are synced, and renamed. When it returns, the file outlives a
/// power cut.
/// \throws CheckpointError with the file and the system's reason; nothing is left behind.
void write(const std::string& path, std::span<const Item> items, const Metadata& metadata = {});

/// All tensors of a file, on the host, in the order of the file. \throws as Reader.
NamedTensors load(const std::string& path);

/// `write` for tensors of any strides and device.
void save(const std::string& path, const NamedTensors& tensors, const Metadata& metadata = {});

}  // namespace tutti::safetensors
