#include "checkpoint/byte_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <vector>

#include "checkpoint/bulk_copy.h"
#include "checkpoint/disk_file.h"
#include "checkpoint/stream_cipher.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

class PlainSource : public ByteSource {
 public:
  PlainSource(Descriptor descriptor, std::string path)
      : ByteSource(std::move(path)),
        descriptor_(std::move(descriptor)),
        bytes_(file_size(descriptor_.get(), path_)) {
    set_direct(descriptor_.get());
  }

  std::uint64_t bytes() const override { return bytes_; }

  std::size_t read(std::byte* to, std::size_t bytes, std::uint64_t offset) const override {
    const auto got = read_at(descriptor_.get(), to, round_up(bytes), offset, path_);
    from_disk_ += got;
    return std::min(got, bytes);
  }

 private:
  Descriptor descriptor_;
  std::uint64_t bytes_;
};

class EncryptedFile : public ByteSource {
 public:
  EncryptedFile(Descriptor descriptor, std::string path, const std::string& name, const DataKey& key)
      : ByteSource(std::move(path)),
        descriptor_(std::move(descriptor)),
        decryptor_(decryptor(descriptor_.get(), path_, name, key)) {
    set_direct(descriptor_.get());
  }

  std::uint64_t bytes() const override { return decryptor_.plaintext_bytes(); }

  std::size_t read(std::byte* to, std::size_t bytes, std::uint64_t offset) const override {
    const auto all = this->bytes();
    if (offset >= all || bytes == 0) return 0;
    const Extract extract{offset, std::min<std::uint64_t>(bytes, all - offset), to};
    read_authentic({&extract, 1});
    return extract.bytes;
  }

  bool read_authentic(std::span<const Extract> extracts) const override {
    const auto all = bytes();
    const Borrowed memory(*this);
    const auto& [sealed, plain] = *memory.pair;
    const auto behind = stream::segment_of(extracts.back().end() - 1) + 1;
    auto extract = extracts.begin();
    for (auto segment = stream::segment_of(extract->begin); segment < behind;) {
      const auto stop = std::min(segment + at_once, behind);
      auto texts = load(segment, stop, sealed);
      for (; segment < stop; ++segment) {
        const auto text = texts.first(stream::bytes_of_segment(segment, all));
        texts = texts.subspan(text.size());
        const auto [begin, end] = stream::plaintext_range(segment, all);
        if (extract->begin <= begin && end <= extract->end()) {
          decryptor_.decrypt(segment, text, {extract->to + (begin - extract->begin), end - begin});
        } else {
          const auto part = plain.span().first(end - begin);
          decryptor_.decrypt(segment, text, part);
          for (auto next = extract; next != extracts.end() && next->begin < end; ++next)
            copy_overlap(*next, begin, part);
        }
        while (extract != extracts.end() && extract->end() <= end) ++extract;
      }
    }
    return true;
  }

 private:
  static constexpr std::uint64_t at_once = 4;  // segments, in one read
  struct Pair {
    Pages sealed{at_once * stream::segment_bytes}, plain{stream::segment_bytes};
  };
  // Kept for the next read: fresh memory costs as much as decrypting into it.
  struct Borrowed {
    explicit Borrowed(const EncryptedFile& from) : file(from) {
      const std::lock_guard lock(file.mutex_);
      if (file.free_.empty()) {
        pair = std::make_unique<Pair>();
      } else {
        pair = std::move(file.free_.back());
        file.free_.pop_back();
      }
    }
    ~Borrowed() {
      try {
        const std::lock_guard lock(file.mutex_);
        file.free_.push_back(std::move(pair));
      } catch (const std::bad_alloc&) {  // then it is not kept
      }
    }
    const EncryptedFile& file;
    std::unique_ptr<Pair> pair;
  };

  static StreamDecryptor decryptor(int descriptor, const std::string& path, const std::string& name,
                                   const DataKey& key) {
    std::array<std::byte, stream::header_bytes> header{};
    read_at(descriptor, header.data(), header.size(), 0, path);
    return StreamDecryptor(key.key, key.associated_data(name), path, file_size(descriptor, path), header);
  }

  // Segments [segment, stop) as they are on disk.
  std::span<const std::byte> load(std::uint64_t segment, std::uint64_t stop, const Pages& memory) const {
    const auto begin = segment * stream::segment_bytes;
    const auto expected = (stop - 1 - segment) * stream::segment_bytes +
                          stream::bytes_of_segment(stop - 1, decryptor_.plaintext_bytes());
    const auto got = read_at(descriptor_.get(), memory.data(), round_up(expected), begin, path_);
    from_disk_ += got;
    if (got < expected) {
      throw CheckpointError(
          fmt::format("checkpoint: {}: byte {}: the file ends here: it became shorter", path_, begin + got),
          path_, static_cast<std::int64_t>(begin + got));
    }
    return memory.span().first(expected);
  }

  Descriptor descriptor_;
  StreamDecryptor decryptor_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Pair>> free_;
};

}  // namespace

void copy_overlap(const Extract& extract, std::uint64_t begin, std::span<const std::byte> data) {
  const auto from = std::max(extract.begin, begin), to = std::min(extract.end(), begin + data.size());
  if (extract.to && from < to)
    bulk_copy(extract.to + (from - extract.begin), data.data() + (from - begin), to - from);
}

std::unique_ptr<ByteSource> open_source(const Directory& directory, const std::string& name,
                                        DataKeyPointer key) {
  const auto on_disk = name_on_disk(name, key.get());
  auto file = directory.open_to_read(on_disk);
  if (!key) return std::make_unique<PlainSource>(std::move(file), directory.path(on_disk));
  return std::make_unique<EncryptedFile>(std::move(file), directory.path(on_disk), name, *key);
}

}  // namespace tutti::checkpoint
