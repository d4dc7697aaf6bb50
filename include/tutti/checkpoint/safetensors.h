/// \file
/// Files of named tensors in the safetensors format, which Python's `safetensors` reads and writes:
/// https://github.com/huggingface/safetensors. Read strictly by its specification, written atomically.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
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

struct ReadOptions {
  /// Bytes behind the last tensor are no error. Some programs leave them there; a strict reader refuses what could be
  /// another file at the same time.
  bool lenient = false;
};

/// Parses and checks the header at the start of `bytes`, of a file of `file_bytes` bytes; `file` is the name
/// for errors. `bytes` may end with the header.
/// \throws CheckpointError with the byte at which a rule of the format is broken.
Header parse_header(std::span<const std::byte> bytes, std::uint64_t file_bytes, std::string_view file,
                    const ReadOptions& options = {});

/// An open file, its header checked.
class Reader {
 public:
  /// \throws CheckpointError when `path` is no regular file, cannot be read, or breaks a rule of the format.
  explicit Reader(const std::string& path, const ReadOptions& options = {});
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
  /// Reads elements [first, first + out.count) of it. \throws as the one before.
  void read(const Entry& entry, std::uint64_t first, BufferView out) const;
  /// Reads bytes [first, first + out.size()) of it, whatever its dtype. \throws ShapeError when it has less, and CheckpointError
  void read_bytes(const Entry& entry, std::uint64_t first, std::span<std::byte> out) const;
  /// Reads `entry` into a new tensor on the host.
  /// \throws CheckpointError also for types and shapes that Tutti does not have.
  Tensor read(const Entry& entry) const;

 private:
  std::string path_;
  int descriptor_;
  Header header_;
};

/// A file mapped into memory: tensors are read when they are looked at. What is written to them is of this process alone and
/// never gets into the file. As with all maps, a file that another program makes shorter meanwhile kills this one, by SIGBUS, when it
/// looks: use Reader for files that you do not own.
class Mapping {
 public:
  /// \throws CheckpointError as Reader does, and when the system cannot map it.
  explicit Mapping(const std::string& path, const ReadOptions& options = {});

  const std::string& path() const;
  const std::vector<Entry>& entries() const;
  const Metadata& metadata() const;
  /// \throws CheckpointError when the file has no tensor of that name.
  const Entry& at(std::string_view name) const;

  /// Its bytes, whatever its dtype; while this lives.
  std::span<const std::byte> bytes(const Entry& entry) const;
  /// Without a copy, and on its own: the map lives as long as the tensor. Where a file has not aligned the elements, it is a
  /// copy. \throws CheckpointError for types and shapes that Tutti does not have, and a BOOL other than 0 and 1.
  Tensor tensor(const Entry& entry) const;

 private:
  struct Map;
  std::shared_ptr<Map> map_;
};

/// A tensor that a file is going to hold.
struct Declaration {
  std::string name;
  std::string dtype;  ///< of the format: "F32", "F8_E4M3", ...
  std::vector<std::uint64_t> shape;
};

/// Writes a file of declared tensors, part by part in any order, so that they need not be in memory together. The file appears
/// as a whole at `commit`; without it, or where something throws, whatever had the name stays, and nothing is left behind.
class Writer {
 public:
  /// \throws CheckpointError for names that are no UTF-8, reserved or given twice, dtypes that the format does not have, and
  ///         what is too large; and when the file cannot be made.
  Writer(const std::string& path, std::vector<Declaration> tensors, const Metadata& metadata = {});
  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) = delete;
  ~Writer();

  /// The next bytes of the tensor of that name, behind those that were written last.
  /// \throws CheckpointError when there is none, and when these are more than it has or were written before.
  void append(std::string_view name, std::span<const std::byte> bytes);
  /// The same at byte `first` of the tensor.
  void write(std::string_view name, std::uint64_t first, std::span<const std::byte> bytes);
  /// All of it. \throws also DTypeError, ShapeError where `data` is not as declared, DeviceError where it is not on the host.
  void write(std::string_view name, ConstBufferView data);

  /// Bytes that were declared, and those of them that were written.
  std::uint64_t bytes() const;
  std::uint64_t written() const;

  /// When it returns, the file outlives a power cut. \throws CheckpointError naming a tensor of which bytes are missing, and when it
  ///         cannot be written.
  void commit();

 private:
  struct File;
  std::unique_ptr<File> file_;
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
NamedTensors load(const std::string& path, const ReadOptions& options = {});

/// `write` for tensors of any strides and device.
void save(const std::string& path, const NamedTensors& tensors, const Metadata& metadata = {});

}  // namespace tutti::safetensors
