// The bytes of a file of a checkpoint, from disk as they are or decrypted.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "checkpoint/data_key.h"
#include "checkpoint/directory.h"

namespace tutti::checkpoint {

// Bytes [begin, begin + bytes) of a file, and where to; null for nowhere.
struct Extract {
  std::uint64_t begin, bytes;
  std::byte* to;
  std::uint64_t end() const { return begin + bytes; }
};

// Copies what `extract` has of `data`, which stands at byte `begin` of the file.
void copy_overlap(const Extract& extract, std::uint64_t begin, std::span<const std::byte> data);

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // As without encryption, which is also what `bytes` and `offset` count.
  virtual std::uint64_t bytes() const = 0;
  // Reads up to the end; returns how many. `to` has room for whole pages, and starts, as `offset`, at one. Several threads may.
  // Throws CheckpointError.
  virtual std::size_t read(std::byte* to, std::size_t bytes, std::uint64_t offset) const = 0;

  // Where a cipher refuses all that was changed: puts extracts, which are in order, to where they are wanted, with no checksum
  // and no copy on the way. Returns false, and does nothing, where the bytes have to be checked by the caller.
  virtual bool read_authentic(std::span<const Extract>) const { return false; }

  const std::string& path() const { return path_; }
  std::uint64_t from_disk() const { return from_disk_; }

 protected:
  explicit ByteSource(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  mutable std::atomic<std::uint64_t> from_disk_ = 0;
};

// `key` may be null. Throws CheckpointError for a file that is missing or no regular one.
std::unique_ptr<ByteSource> open_source(const Directory& directory, const std::string& name,
                                        DataKeyPointer key);

}  // namespace tutti::checkpoint
