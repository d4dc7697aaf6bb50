#include "checkpoint/block_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tutti::checkpoint {

BlockWriter::BlockWriter(const Directory& directory, const std::string& name, std::uint64_t bytes,
                         std::uint64_t begin, std::size_t block, Look look)
    : path_(directory.path(name)),
      bytes_(bytes),
      block_(block),
      look_(std::move(look)),
      file_(directory.create(name)),
      memory_(blocks * block),
      next_(begin) {
  reserve_space(file_.get(), bytes, path_);
  set_direct(file_.get());
  writer_.emplace(file_.get(), path_, written_, stop_);
}

void BlockWriter::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto count = std::min(bytes.size(), block_ - filled_);
    std::memcpy(memory_.data() + number_ * block_ + filled_, bytes.data(), count);
    filled_ += count;
    bytes = bytes.subspan(count);
    if (filled_ == block_) flush();
  }
}

void BlockWriter::flush() {
  if (filled_ == 0) return;
  const auto block = memory_.span().subspan(number_ * block_, round_up(filled_));
  if (look_) look_(next_, block.first(filled_));
  // What follows the last byte goes to disk, and is cut off there.
  std::memset(block.data() + filled_, 0, block.size() - filled_);
  writer_->write(next_, block);
  next_ += filled_;
  number_ = (number_ + 1) % blocks;
  filled_ = 0;
  writer_->wait_for_less_than(blocks);
}

void BlockWriter::finish(std::span<const std::byte> head) {
  flush();
  writer_->finish();
  if (!head.empty()) {
    const Pages pages(head.size());
    std::memcpy(pages.data(), head.data(), head.size());
    write_at(file_.get(), pages.data(), pages.size(), 0, path_);
  }
  writer_.reset();
  truncate(file_.get(), bytes_, path_);
  sync_file(file_.get(), path_);
  file_.close(path_);
}

}  // namespace tutti::checkpoint
