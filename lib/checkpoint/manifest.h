// What a checkpoint consists of: manifest.json.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tutti/core/shape.h"
#include "tutti/tensor/sharded_tensor.h"

namespace tutti::checkpoint {

inline constexpr const char* manifest_name = "manifest.json";

struct ManifestFile {
  std::string name;
  std::string prefix;            // what the names of its tensors lack
  std::uint64_t bytes = 0;       // before encryption, as the others
  std::uint64_t head_bytes = 0;  // up to the first tensor's
  std::string head_digest;       // XXH3-128, 32 hexadecimal digits
};

struct ManifestTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  int file = -1;      // that has the whole; or, below 0,
  Sharding sharding;  // over all files
  std::int64_t bytes() const { return shape.numel() * static_cast<std::int64_t>(size_of(dtype)); }
};

struct Manifest {
  std::string uuid;  // 32 hexadecimal digits, fresh for each save
  std::int64_t steps = 0;
  std::int64_t world_size = 1;
  std::int64_t logical_ranks = 1;
  std::string tutti_version;
  std::vector<ManifestFile> files;
  std::vector<ManifestTensor> tensors;  // in the order of the state

  // What of `tensor` file number `file` has: nothing, or bytes [begin, end) of it, under its name. One without elements is
  // in one file.
  std::optional<Sharding::Range> piece(const ManifestTensor& tensor, std::size_t file) const;
  // The name of `tensor` in `file`.
  static std::string name_in(const ManifestFile& file, const ManifestTensor& tensor);
};

// Ends with a digest of what stands before it.
std::string text_of(const Manifest& manifest);

// The digest at the end of `text`; it identifies the checkpoint.
std::string digest_of(std::string_view text);

// Strict; `file` is the name for errors. Throws CheckpointError.
Manifest parse_manifest(std::string_view text, const std::string& file);

}  // namespace tutti::checkpoint
