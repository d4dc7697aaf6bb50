// The files of a save, as they are going to be on disk, in memory: what the state was when they were made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/disk_file.h"
#include "checkpoint/plan.h"
#include "checkpoint/safetensors_layout.h"

namespace tutti::checkpoint {

// In the metadata of each file.
inline constexpr const char* uuid_key = "tutti.checkpoint";
inline constexpr const char* steps_key = "tutti.steps";
inline constexpr const char* file_key = "tutti.file";
inline constexpr const char* chunk_key = "tutti.chunk_bytes";
inline constexpr const char* checksums_key = "tutti.checksums";

// Of the file `planned`, with room in its head for the checksums of chunks of `chunk` bytes. The manifest in it has `uuid` and
// `steps`.
safetensors::FileLayout lay_out_shard(const Manifest& manifest, const PlannedFile& planned,
                                      std::uint64_t& chunk);

struct Image {
  std::size_t file;             // in the manifest
  std::span<std::byte> memory;  // in whole pages
  std::uint64_t bytes;          // of the file
  std::uint64_t head_bytes;     // in whole pages too
  std::uint64_t chunk_bytes;
  char* checksums;  // room for those of the chunks, in the head

  std::span<const std::byte> data() const { return memory.subspan(head_bytes, bytes - head_bytes); }
};

// Its memory is kept from one save to the next.
class Staging {
 public:
  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging();

  // Makes room for `state`, for later: the first touch of memory costs more than a copy. Throws std::bad_alloc.
  void reserve(const SavePlan& plan, const ShardedTensors& state);
  // Its memory, for who needs some between saves; null where there is none. Who keeps it has it: the next save takes other.
  std::shared_ptr<Pages> memory() const { return memory_; }
  // Copies what `plan` wants of `state`. The manifest in it has `uuid` and `steps` already.
  void copy(const SavePlan& plan, const ShardedTensors& state);

  std::span<Image> images() { return images_; }
  std::uint64_t bytes() const;  // of all images, in whole pages

 private:
  // Returns whether its memory is new.
  bool lay_out(const SavePlan& plan);
  void release();
  void pin(const ShardedTensors& state);

  std::shared_ptr<Pages> memory_;
  Device pinned_;  // for which; the CPU where it is not
  std::vector<Image> images_;
  std::vector<std::vector<std::uint64_t>> offsets_;  // of the pieces of each, in the file
};

}  // namespace tutti::checkpoint
