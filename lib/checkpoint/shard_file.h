// A file of a checkpoint, open: its header checked against the manifest, its bytes against their checksums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/byte_source.h"
#include "checkpoint/disk_file.h"
#include "checkpoint/manifest.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {

// A chunk whose bytes are not those that were written.
class DamagedChunk : public CheckpointError {
 public:
  using CheckpointError::CheckpointError;

  std::string tensor;  // the first one there
  std::uint64_t expected = 0, found = 0;
  std::uint64_t end = 0;  // in the file
};

class ShardFile {
 public:
  // Throws CheckpointError for a file that is missing, no regular one, or not the one that the manifest tells of.
  ShardFile(const Directory& directory, const Manifest& manifest, std::size_t file, DataKeyPointer key);

  // Reads the chunks that `extracts` are in, by way of `scratch`, and checks them. The extracts lie behind the head and are in
  // order, with no chunk between them; where the first one has no `to`, none has, and they are verified only. Several threads
  // may. Throws CheckpointError naming file, tensor and offset.
  void read(std::span<const Extract> extracts, Pages& scratch) const;
  // Of the first byte of the tensor of that name; it is there.
  std::uint64_t offset_of(const std::string& name) const;

  std::uint64_t chunk_bytes() const { return chunk_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t from_disk() const { return source_->from_disk(); }
  std::uint64_t head_bytes() const { return head_bytes_; }

 private:
  [[noreturn]] void refuse(const std::string& rule, std::uint64_t offset) const;
  void read_head(const Manifest& manifest, const ManifestFile& file);
  void check_entries(const Manifest& manifest, std::size_t file);
  void check_chunk(std::uint64_t chunk, std::span<const std::byte> data) const;

  std::unique_ptr<ByteSource> source_;
  std::uint64_t bytes_;
  std::uint64_t head_bytes_;
  std::uint64_t chunk_ = 0;
  std::vector<std::uint64_t> checksums_;
  safetensors::Header header_;
  std::vector<const safetensors::Entry*> by_name_;
};

}  // namespace tutti::checkpoint
