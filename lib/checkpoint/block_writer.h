// Bytes that come one after another, to a file: in blocks, by a thread, past the page cache.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "checkpoint/directory.h"
#include "checkpoint/disk_file.h"
#include "checkpoint/write_behind.h"

namespace tutti::checkpoint {

class BlockWriter {
 public:
  // Told of each block before it is written.
  using Look = std::function<void(std::uint64_t offset, std::span<const std::byte> block)>;

  // Makes the file `name`, which was not there and is going to have `bytes` bytes; the first to come is byte `begin`, the
  // start of a page. Blocks have `block` bytes, whole pages, and the last one what is left.
  BlockWriter(const Directory& directory, const std::string& name, std::uint64_t bytes,
              std::uint64_t begin = 0, std::size_t block = std::size_t{8} << 20, Look look = {});

  void append(std::span<const std::byte> bytes);
  // Writes what is left, and then `head` at the start of the file, in whole pages. The file lasts when it returns; its name, when
  // the directory is synced.
  void finish(std::span<const std::byte> head = {});

 private:
  static constexpr std::size_t blocks = 3;

  void flush();

  const std::string path_;
  const std::uint64_t bytes_;
  const std::size_t block_;
  const Look look_;
  Descriptor file_;
  Pages memory_;
  std::uint64_t next_;      // where in the file the block at hand goes
  std::size_t number_ = 0;  // of the block at hand
  std::size_t filled_ = 0;
  std::atomic<std::uint64_t> written_ = 0;
  std::atomic<bool> stop_ = false;
  std::optional<WriteBehind> writer_;
};

}  // namespace tutti::checkpoint
