// A file that is made block by block, by a thread and past the page cache: of the bytes as they come, or encrypted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "checkpoint/data_key.h"
#include "checkpoint/directory.h"

namespace tutti::checkpoint {

class BlockFile {
 public:
  virtual ~BlockFile() = default;

  // How many of the blocks that were written last have to stay as they are.
  virtual std::size_t held() const = 0;
  // What follows the block before: the first `bytes` bytes of `pages`, whole pages. The rest of those is overwritten.
  virtual void write(std::span<std::byte> pages, std::size_t bytes) = 0;
  // Puts `head` in front of the first block, when all blocks have come. The file lasts when it returns; its name, when the
  // directory is synced.
  virtual void finish(std::span<const std::byte> head) = 0;
};

// Makes the file `name`, which was not there, with room for `bytes` bytes. The first block comes to byte `begin`, the start of
// a page. With a key it is encrypted, under its name on disk.
std::unique_ptr<BlockFile> make_block_file(const Directory& directory, const std::string& name,
                                           std::uint64_t bytes, std::uint64_t begin = 0,
                                           const DataKey* key = nullptr);

}  // namespace tutti::checkpoint
