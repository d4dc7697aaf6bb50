// Bytes that come one after another, to a file in blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "checkpoint/block_file.h"
#include "checkpoint/disk_file.h"

namespace tutti::checkpoint {

class BlockWriter {
 public:
  // Told of each block before it is written, and of the bytes before it.
  using Look = std::function<void(std::uint64_t offset, std::span<const std::byte> block)>;

  // Blocks have `block` bytes, whole pages, and the last one what is left.
  explicit BlockWriter(std::unique_ptr<BlockFile> file, std::size_t block = std::size_t{8} << 20,
                       Look look = {});

  void append(std::span<const std::byte> bytes);
  // Writes what is left, and `head` in front of all. The file lasts when it returns; its name, when the directory is synced.
  void finish(std::span<const std::byte> head = {});

 private:
  void flush();

  const std::size_t block_, blocks_;
  const Look look_;
  Pages memory_;
  std::uint64_t offset_ = 0;  // of the block at hand, from the first one on
  std::size_t number_ = 0;    // of it
  std::size_t filled_ = 0;
  std::unique_ptr<BlockFile> file_;  // goes first: it reads the memory
};

}  // namespace tutti::checkpoint
