// A checkpoint, open for reading.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/directory.h"
#include "checkpoint/shard_file.h"
#include "tutti/checkpoint/checkpoint.h"

namespace tutti::checkpoint {

// Of one file, that verification tells of.
inline constexpr std::size_t most_damages = 100;

// Bytes of a tensor, and where to.
struct Wanted {
  std::size_t tensor;  // in the manifest
  Sharding::Range range;
  std::byte* to;
};

class OpenCheckpoint {
 public:
  // Retention leaves it alone while this lives. Throws CheckpointError when the manifest is not as it should be.
  // `key` is null for plaintext.
  OpenCheckpoint(Directory directory, DataKeyPointer key);
  OpenCheckpoint(const OpenCheckpoint&) = delete;
  OpenCheckpoint& operator=(const OpenCheckpoint&) = delete;
  ~OpenCheckpoint();

  const Manifest& manifest() const { return manifest_; }
  const std::string& path() const { return directory_.path(); }
  const std::string& digest() const { return digest_; }

  // Several threads read in parallel, and verify. Returns the bytes that came from the disk. `progress` is told of bytes done, by any
  // thread. Throws CheckpointError.
  std::uint64_t read(std::span<const Wanted> wanted, const std::function<void(std::uint64_t)>& progress = {});

  // Reads all that file number `file` has. Returns where it is damaged, in order, up to most_damages places. Throws
  // CheckpointError when its header is, and what `progress` throws.
  std::vector<Checkpoint::Damage> verify(std::size_t file,
                                         const std::function<void(std::uint64_t)>& progress);

 private:
  // Extracts of one block of a file.
  struct Job {
    const ShardFile* file;
    std::vector<Extract> extracts;
  };

  // What is read as a whole: units, and blocks of them. A file's bytes are counted from `origin`.
  struct Grid {
    std::int64_t origin;
    std::uint64_t unit, block;
    std::uint64_t unit_of(std::uint64_t byte) const { return count(byte) / unit; }
    std::uint64_t block_of(std::uint64_t byte) const { return count(byte) / block; }
    std::uint64_t block_end(std::uint64_t byte) const { return byte + block - count(byte) % block; }

   private:
    std::uint64_t count(std::uint64_t byte) const {
      return static_cast<std::uint64_t>(static_cast<std::int64_t>(byte) - origin);
    }
  };

  const ShardFile& file(std::size_t index);
  // Of what a file's checksums tell, which is what is verified; and of what is read, which a cipher may see to.
  static Grid chunks_of(const ShardFile& file);
  Grid grid_of(const ShardFile& file) const;
  static void add_jobs(const ShardFile& file, const Grid& grid, std::vector<Extract> extracts,
                       std::vector<Job>& jobs);
  std::uint64_t from_disk() const;
  // By several threads, each with scratch memory of its own.
  void run(std::span<const Job> jobs, const std::function<void(const Job&, Pages&)>& perform) const;

  Directory directory_;
  DataKeyPointer key_;
  Descriptor lock_;  // the manifest
  const pid_t process_ = ::getpid();
  std::string digest_;
  Manifest manifest_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<ShardFile>> files_;
};

}  // namespace tutti::checkpoint
