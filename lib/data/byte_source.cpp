#include "data/byte_source.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <string>

#include "tutti/core/error.h"

namespace tutti::data {
namespace {

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::size_t read(std::span<std::byte> out) override {
    const auto count = std::min(out.size(), rest_.size());
    std::copy_n(rest_.begin(), count, out.begin());
    rest_ = rest_.subspan(count);
    return count;
  }
  std::size_t bound() const override { return rest_.size(); }

 private:
  std::span<const std::byte> rest_;
};

class GzipSource : public ByteSource {
 public:
  explicit GzipSource(std::span<const std::byte> bytes) : rest_(bytes) {
    constexpr int gzip_only = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, gzip_only) != Z_OK) throw DataError("gzip: out of memory");
  }
  ~GzipSource() override { inflateEnd(&stream_); }

  std::size_t read(std::span<std::byte> out) override {
    constexpr std::size_t most = std::numeric_limits<uInt>::max();
    std::size_t done = 0;
    while (done < out.size() && !ended_) {
      const auto in_count = std::min(rest_.size(), most);
      const auto out_count = std::min(out.size() - done, most);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest_.data()));
      stream_.avail_in = static_cast<uInt>(in_count);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + done);
      stream_.avail_out = static_cast<uInt>(out_count);
      const int result = inflate(&stream_, Z_NO_FLUSH);
      rest_ = rest_.subspan(in_count - stream_.avail_in);
      done += out_count - stream_.avail_out;
      if (result == Z_STREAM_END) {
        // A gzip file may be several, one behind the other.
        ended_ = rest_.empty();
        inflateReset(&stream_);
      } else if (result == Z_BUF_ERROR) {
        throw DataError("gzip: the compressed data are truncated");
      } else if (result != Z_OK) {
        throw DataError(std::string("gzip: ") + (stream_.msg ? stream_.msg : "damaged data"));
      }
    }
    return done;
  }
  // Deflate makes at most 1032 bytes of one; a few more wait in the decompressor.
  std::size_t bound() const override {
    return std::min(rest_.size(), std::numeric_limits<std::size_t>::max() / 2048) * 1032 + 65536;
  }

 private:
  std::span<const std::byte> rest_;
  z_stream stream_{};
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> open_source(std::span<const std::byte> bytes) {
  const bool gzip = bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
  if (gzip) return std::make_unique<GzipSource>(bytes);
  return std::make_unique<PlainSource>(bytes);
}

}  // namespace tutti::data
