#include "checkpoint/image_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "checkpoint/checksum.h"
#include "checkpoint/stream_cipher.h"
#include "checkpoint/write_behind.h"

namespace tutti::checkpoint {
namespace {

constexpr std::uint64_t block = 8 << 20;  // a whole number of chunks, or a part of one
constexpr std::uint64_t segments_per_block = block / stream::segment_bytes, most_blocks = 4;

void fill_in_checksums(Image& image, std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t at = begin; at < end; at += image.chunk_bytes) {
    const std::array checksum{
        chunk_checksum(image.data().subspan(at, std::min(image.chunk_bytes, end - at)))};
    write_hex(checksum, image.checksums + at / image.chunk_bytes * 16);
  }
}

// One block is written while the next one's checksums are made. The head, which has them all, comes last.
void write_plain(Image& image, WriteBehind& writer) {
  const std::uint64_t bytes = image.data().size(), step = std::max(block, image.chunk_bytes);
  for (std::uint64_t begin = 0; begin < bytes; begin += step) {
    const std::uint64_t end = std::min<std::uint64_t>(begin + step, bytes);
    fill_in_checksums(image, begin, end);
    const std::uint64_t first = image.head_bytes + begin;
    writer.write(first, image.memory.subspan(first, round_up(end - begin)));
  }
  writer.write(0, image.memory.first(image.head_bytes));
  writer.finish();
}

// Segments are no whole pages of the image, so that the head is needed for the first of them: all checksums are made first.
// `memory` is for `most_blocks` of them, or for all.
void write_encrypted(Image& image, WriteBehind& writer, StreamEncryptor& encryptor, const Pages& memory) {
  fill_in_checksums(image, 0, image.data().size());
  for (std::uint64_t first = 0, n = 0; first < encryptor.segment_count(); first += segments_per_block, ++n) {
    writer.wait_for_less_than(most_blocks);
    const auto room = memory.span().subspan(n % most_blocks * block);
    const auto last = std::min(first + segments_per_block, encryptor.segment_count());
    std::uint64_t size = 0;
    for (auto segment = first; segment < last; ++segment) {
      const auto [begin, end] = stream::plaintext_range(segment, image.bytes);
      const auto bytes = stream::bytes_of_segment(segment, image.bytes);
      encryptor.encrypt(segment, image.memory.subspan(begin, end - begin), room.subspan(size, bytes));
      size += bytes;
    }
    std::memset(room.data() + size, 0, round_up(size) - size);
    writer.write(first * stream::segment_bytes, room.first(round_up(size)));
  }
  writer.finish();
}

}  // namespace

void write_image(const Directory& directory, Image& image, ManifestFile& file, const DataKey* key,
                 std::atomic<std::uint64_t>& written, const std::atomic<bool>& stop) {
  const auto name = name_on_disk(file.name, key), path = directory.path(name);
  const auto bytes = key ? stream::ciphertext_bytes(image.bytes) : image.bytes;
  auto descriptor = directory.create(name);
  reserve_space(descriptor.get(), bytes, path);
  set_direct(descriptor.get());
  {
    std::optional<StreamEncryptor> encryptor;
    std::optional<Pages> memory;  // before the writer, which reads it to its end
    if (key) {
      encryptor.emplace(key->key, key->associated_data(file.name), image.bytes);
      memory.emplace(std::min(most_blocks * block, encryptor->segment_count() * stream::segment_bytes));
    }
    WriteBehind writer(descriptor.get(), path, written, stop);
    if (key)
      write_encrypted(image, writer, *encryptor, *memory);
    else
      write_plain(image, writer);
  }
  truncate(descriptor.get(), bytes, path);
  sync_file(descriptor.get(), path);
  descriptor.close(path);
  file.bytes = image.bytes;
  file.head_bytes = image.head_bytes;
  file.head_digest = digest({reinterpret_cast<const char*>(image.memory.data()), image.head_bytes});
}

}  // namespace tutti::checkpoint
