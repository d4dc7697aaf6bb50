// The bytes of a file of a checkpoint, from disk as they are or decrypted.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "checkpoint/data_key.h"
#include "checkpoint/directory.h"

namespace tutti::checkpoint {

class ByteSource {
 public:
  virtual ~ByteSource() = default;

  // As without encryption, which is also what `bytes` and `offset` count.
  virtual std::uint64_t bytes() const = 0;
  // Reads up to the end; returns how many. `to` has room for whole pages, and starts, as `offset`, at one. Several threads may.
  // Throws CheckpointError.
  virtual std::size_t read(std::byte* to, std::size_t bytes, std::uint64_t offset) const = 0;

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
