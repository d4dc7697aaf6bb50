#include "checkpoint/block_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace tutti::checkpoint {

BlockWriter::BlockWriter(std::unique_ptr<BlockFile> file, std::size_t block, Look look)
    : block_(block),
      blocks_(file->held() + 1),
      look_(std::move(look)),
      memory_(blocks_ * block),
      file_(std::move(file)) {}

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
  if (look_) look_(offset_, block.first(filled_));
  file_->write(block, filled_);
  offset_ += filled_;
  number_ = (number_ + 1) % blocks_;
  filled_ = 0;
}

void BlockWriter::finish(std::span<const std::byte> head) {
  flush();
  file_->finish(head);
}

}  // namespace tutti::checkpoint
