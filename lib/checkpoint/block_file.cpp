#include "checkpoint/block_file.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>

#include "checkpoint/disk_file.h"
#include "checkpoint/stream_cipher.h"
#include "checkpoint/write_behind.h"

namespace tutti::checkpoint {
namespace {

constexpr std::size_t blocks = 3;  // one is filled, one is written, one is on its way

// What is on disk, and its thread.
class Output {
 public:
  Output(const Directory& directory, const std::string& name, std::uint64_t bytes)
      : path_(directory.path(name)), bytes_(bytes), file_(directory.create(name)) {
    reserve_space(file_.get(), bytes, path_);
    set_direct(file_.get());
    writer_.emplace(file_.get(), path_, written_, stop_);
  }

  // The first `bytes` of `pages`; they stay as they are until two more calls have returned.
  void write(std::uint64_t offset, std::span<std::byte> pages, std::size_t bytes) {
    // What follows the last byte goes to disk, and is cut off there.
    std::memset(pages.data() + bytes, 0, pages.size() - bytes);
    writer_->write(offset, pages);
    writer_->wait_for_less_than(blocks);
  }

  void finish() {
    writer_->finish();
    writer_.reset();
    truncate(file_.get(), bytes_, path_);
    sync_file(file_.get(), path_);
    file_.close(path_);
  }

 private:
  const std::string path_;
  const std::uint64_t bytes_;
  Descriptor file_;
  std::atomic<std::uint64_t> written_ = 0;
  std::atomic<bool> stop_ = false;
  std::optional<WriteBehind> writer_;
};

class PlainBlockFile : public BlockFile {
 public:
  PlainBlockFile(const Directory& directory, const std::string& name, std::uint64_t bytes,
                 std::uint64_t begin)
      : next_(begin), output_(directory, name, bytes) {}

  std::size_t held() const override { return blocks - 1; }

  void write(std::span<std::byte> pages, std::size_t bytes) override {
    output_.write(next_, pages, bytes);
    next_ += bytes;
  }

  void finish(std::span<const std::byte> head) override {
    head_ = Pages(head.size());
    if (!head.empty()) {
      std::memcpy(head_.data(), head.data(), head.size());
      output_.write(0, head_.span(), head.size());
    }
    output_.finish();
  }

 private:
  std::uint64_t next_;  // where in the file the next block goes
  Pages head_;
  Output output_;  // goes first: its thread reads the others
};

// The head, known last, is in the first segments: what else is in those waits for it.
class SealedFile : public BlockFile {
 public:
  SealedFile(const Directory& directory, const std::string& name, std::uint64_t bytes, std::uint64_t begin,
             const DataKey& key)
      : encryptor_(key.key, key.associated_data(name), bytes),
        first_(std::min(stream::segment_of(begin) + 1, encryptor_.segment_count())),
        next_(begin),
        start_(text_of(first_ - 1).end),
        segment_(stream::segment_plaintext_bytes),
        memory_(blocks * block),
        output_(directory, name_on_disk(name, &key), stream::ciphertext_bytes(bytes)) {}

  std::size_t held() const override { return 0; }

  void write(std::span<std::byte> pages, std::size_t bytes) override {
    std::span<const std::byte> rest = pages.first(bytes);
    while (!rest.empty()) {
      const auto segment = stream::segment_of(next_);
      const bool waits = segment < first_;
      const auto [begin, end] = text_of(segment);
      const auto count = std::min<std::uint64_t>(rest.size(), end - next_);
      std::memcpy(waits ? start_.data() + next_ : segment_.data() + (next_ - begin), rest.data(), count);
      next_ += count;
      rest = rest.subspan(count);
      if (!waits && next_ == end) seal(segment, segment_.span().first(end - begin));
    }
  }

  void finish(std::span<const std::byte> head) override {
    flush();
    if (!head.empty()) std::memcpy(start_.data(), head.data(), head.size());
    for (std::uint64_t segment = 0; segment < first_; ++segment) {
      const auto [begin, end] = text_of(segment);
      seal(segment, start_.span().subspan(begin, end - begin));
    }
    flush();
    output_.finish();
  }

 private:
  static constexpr std::size_t block = 8 * stream::segment_bytes;

  stream::Range text_of(std::uint64_t segment) const {
    return stream::plaintext_range(segment, encryptor_.plaintext_bytes());
  }

  void seal(std::uint64_t segment, std::span<const std::byte> plain) {
    if (filled_ == 0) offset_ = segment * stream::segment_bytes;
    const auto bytes = stream::bytes_of_segment(segment, encryptor_.plaintext_bytes());
    encryptor_.encrypt(segment, plain, memory_.span().subspan(number_ * block + filled_, bytes));
    filled_ += bytes;
    if (filled_ == block) flush();
  }

  void flush() {
    if (filled_ == 0) return;
    output_.write(offset_, memory_.span().subspan(number_ * block, round_up(filled_)), filled_);
    number_ = (number_ + 1) % blocks;
    filled_ = 0;
  }

  StreamEncryptor encryptor_;
  const std::uint64_t first_;  // segment that nothing of the head is in
  std::uint64_t next_;         // where in the text the next byte goes
  Pages start_;                // the text of the segments before `first_`
  Pages segment_;              // that of the one at hand
  Pages memory_;               // blocks of sealed segments, one after the other
  std::uint64_t offset_ = 0;   // where in the file the block at hand goes
  std::size_t number_ = 0;     // of it
  std::size_t filled_ = 0;
  Output output_;  // goes first: its thread reads the others
};

}  // namespace

std::unique_ptr<BlockFile> make_block_file(const Directory& directory, const std::string& name,
                                           std::uint64_t bytes, std::uint64_t begin, const DataKey* key) {
  if (key) return std::make_unique<SealedFile>(directory, name, bytes, begin, *key);
  return std::make_unique<PlainBlockFile>(directory, name, bytes, begin);
}

}  // namespace tutti::checkpoint
