#include "checkpoint/stream_cipher.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

using Header = std::array<std::byte, stream::header_bytes>;

Header fresh_header() {
  Header header;
  header[0] = std::byte{stream::header_bytes};
  random_bytes(std::span(header).subspan(1));
  return header;
}

Key derive(const Key& data_key, std::span<const std::byte> header, std::string_view associated_data) {
  Key key;
  hkdf_sha256(data_key.bytes(), header.subspan(1, stream::salt_bytes), associated_data, key.bytes());
  return key;
}

std::array<std::byte, nonce_bytes> nonce_of(const Header& header, std::uint64_t segment, bool last) {
  std::array<std::byte, nonce_bytes> nonce;
  auto next = std::copy_n(header.end() - stream::prefix_bytes, stream::prefix_bytes, nonce.begin());
  for (int shift = 24; shift >= 0; shift -= 8) *next++ = static_cast<std::byte>(segment >> shift);
  *next = std::byte{last};
  return nonce;
}

// Throws unless the sizes are those of the segment.
void check_sizes(std::uint64_t segment, std::uint64_t plaintext_bytes, std::size_t plain, std::size_t sealed,
                 const std::string& file) {
  const auto [begin, end] = stream::plaintext_range(segment, plaintext_bytes);
  const auto bytes = stream::bytes_of_segment(segment, plaintext_bytes);
  if (segment < stream::segment_count(plaintext_bytes) && plain == end - begin && sealed == bytes) return;
  throw CheckpointError(
      fmt::format("checkpoint: segment {} of a text of {} bytes is {} bytes, encrypted {}, not {} and {}",
                  segment, plaintext_bytes, end - begin, bytes, plain, sealed),
      file);
}

}  // namespace

StreamEncryptor::StreamEncryptor(const Key& data_key, std::string_view associated_data,
                                 std::uint64_t plaintext_bytes)
    : header_(fresh_header()),
      cipher_(derive(data_key, header_, associated_data)),
      plaintext_bytes_(plaintext_bytes) {
  stream::ciphertext_bytes(plaintext_bytes);  // refuses what is too long
  done_ = std::make_unique<std::atomic_flag[]>(segment_count());
}

void StreamEncryptor::encrypt(std::uint64_t segment, std::span<const std::byte> plain,
                              std::span<std::byte> out) {
  check_sizes(segment, plaintext_bytes_, plain.size(), out.size(), "");
  if (done_[segment].test_and_set()) {
    throw CheckpointError(
        fmt::format("checkpoint: segment {} is encrypted already: its nonce would serve twice", segment), "");
  }
  if (segment == 0) {
    std::ranges::copy(header_, out.begin());
    out = out.subspan(stream::header_bytes);
  }
  cipher_.seal(nonce_of(header_, segment, segment + 1 == segment_count()), "", plain, out);
}

StreamDecryptor::StreamDecryptor(const Key& data_key, std::string_view associated_data, std::string file,
                                 std::uint64_t file_bytes,
                                 std::span<const std::byte, stream::header_bytes> header)
    : file_(std::move(file)),
      plaintext_bytes_(stream::plaintext_bytes(file_bytes, file_)),
      cipher_(derive(data_key, header, associated_data)) {
  std::ranges::copy(header, header_.begin());
  if (header[0] != std::byte{stream::header_bytes}) {
    throw CheckpointError(
        fmt::format("checkpoint: {}: byte 0: an encrypted file ({}) begins with {:#04x}, not {:#04x}", file_,
                    stream::algorithm, stream::header_bytes, std::to_integer<int>(header[0])),
        file_, 0);
  }
}

void StreamDecryptor::decrypt(std::uint64_t segment, std::span<const std::byte> sealed,
                              std::span<std::byte> plain) const {
  check_sizes(segment, plaintext_bytes_, plain.size(), sealed.size(), file_);
  bool good = true;
  if (segment == 0) {
    good = std::ranges::equal(sealed.first(stream::header_bytes), header_);
    sealed = sealed.subspan(stream::header_bytes);
  }
  const auto nonce = nonce_of(header_, segment, segment + 1 == segment_count());
  good = cipher_.open(nonce, "", sealed, plain) && good;
  if (good) return;
  std::ranges::fill(plain, std::byte{});
  const auto offset = segment * stream::segment_bytes;
  throw CheckpointError(
      fmt::format(
          "checkpoint: {}: byte {}: this segment was changed, or is of another file, step, checkpoint or key",
          file_, offset),
      file_, static_cast<std::int64_t>(offset));
}

std::vector<std::byte> encrypt(const Key& data_key, std::string_view associated_data,
                               std::span<const std::byte> plain) {
  StreamEncryptor encryptor(data_key, associated_data, plain.size());
  std::vector<std::byte> sealed(stream::ciphertext_bytes(plain.size()));
  for (std::uint64_t i = 0; i < encryptor.segment_count(); ++i) {
    const auto [begin, end] = stream::plaintext_range(i, plain.size());
    encryptor.encrypt(
        i, plain.subspan(begin, end - begin),
        std::span(sealed).subspan(i * stream::segment_bytes, stream::bytes_of_segment(i, plain.size())));
  }
  return sealed;
}

std::vector<std::byte> decrypt(const Key& data_key, std::string_view associated_data,
                               std::span<const std::byte> sealed, const std::string& file) {
  std::vector<std::byte> plain(stream::plaintext_bytes(sealed.size(), file));
  const StreamDecryptor decryptor(data_key, associated_data, file, sealed.size(),
                                  sealed.first<stream::header_bytes>());
  for (std::uint64_t i = 0; i < decryptor.segment_count(); ++i) {
    const auto [begin, end] = stream::plaintext_range(i, plain.size());
    decryptor.decrypt(i, sealed.subspan(i * stream::segment_bytes, stream::bytes_of_segment(i, plain.size())),
                      std::span(plain).subspan(begin, end - begin));
  }
  return plain;
}

}  // namespace tutti::checkpoint
