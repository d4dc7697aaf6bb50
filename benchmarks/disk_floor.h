// The floor: what the disk gives to a program that does nothing else, as `dd bs=8M oflag=direct conv=fsync` on each rank.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/disk_file.h"

namespace tutti::bench {

// Of one rank.
class DiskFloor {
 public:
  DiskFloor();
  // A new file of `bytes` bytes, in direct writes of 8 MiB, and fsync. Throws CheckpointError, as the next.
  void write(const std::string& path, std::uint64_t bytes) const;
  // A file in direct reads of 8 MiB.
  void read(const std::string& path) const;

 private:
  checkpoint::Pages block_;
};

// Drops what the page cache has of a file.
void forget(const std::string& path);

// Returns when the file system has done what was asked before: one that tells the disk of freed space (mount option discard)
// is otherwise at it, for gigabytes that were removed, while the next is timed.
void settle(const std::string& directory);

}  // namespace tutti::bench
