#include "checkpoint/shard_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <stdexcept>

#include "checkpoint/checksum.h"
#include "checkpoint/staging.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {

ShardFile::ShardFile(const Directory& directory, const Manifest& manifest, std::size_t file,
                     DataKeyPointer key)
    : source_(open_source(directory, manifest.files[file].name, std::move(key))),
      bytes_(manifest.files[file].bytes),
      head_bytes_(manifest.files[file].head_bytes) {
  if (const auto found = source_->bytes(); found != bytes_)
    refuse(fmt::format("it has {} bytes, and the manifest says {}", found, bytes_), std::min(found, bytes_));
  read_head(manifest, manifest.files[file]);
  check_entries(manifest, file);
}

void ShardFile::refuse(const std::string& rule, std::uint64_t offset) const {
  throw CheckpointError(fmt::format("checkpoint: {}: byte {}: {}", source_->path(), offset, rule),
                        source_->path(), static_cast<std::int64_t>(offset));
}

void ShardFile::read_head(const Manifest& manifest, const ManifestFile& file) {
  if (head_bytes_ > safetensors::max_header_bytes + page)
    refuse(fmt::format("a head of {} bytes", head_bytes_), 0);
  const Pages memory(head_bytes_);
  const auto head = memory.span().first(source_->read(memory.data(), head_bytes_, 0));
  const auto found = digest({reinterpret_cast<const char*>(head.data()), head.size()});
  if (found != file.head_digest)
    refuse(fmt::format(
               "its header is damaged, or another checkpoint's: its digest is {}, and the manifest says {}",
               found, file.head_digest),
           0);
  header_ = safetensors::parse_header(head, bytes_, source_->path());
  std::uint64_t length = 0;
  std::memcpy(&length, head.data(), sizeof length);
  if (8 + length != head_bytes_)
    refuse(fmt::format("its header ends at byte {}, and the manifest says {}", 8 + length, head_bytes_), 0);
  const auto& metadata = header_.metadata;
  const auto value = [&](const char* key) {
    const auto at = metadata.find(key);
    return at == metadata.end() ? std::string() : at->second;
  };
  if (value(uuid_key) != manifest.uuid || value(file_key) != file.name) {
    refuse(fmt::format("it is {} of checkpoint {}, and not {} of {}", value(file_key), value(uuid_key),
                       file.name, manifest.uuid),
           0);
  }
  const auto chunk = value(chunk_key);
  const auto [end, error] = std::from_chars(chunk.data(), chunk.data() + chunk.size(), chunk_);
  if (error != std::errc() || end != chunk.data() + chunk.size() || !std::has_single_bit(chunk_) ||
      chunk_ < page || chunk_ > (1U << 30))
    refuse(fmt::format("{} must be a power of two from {} to 2^30, not \"{}\"", chunk_key, page, chunk), 0);
  if (head_bytes_ % page != 0)
    refuse(fmt::format("a head must be in pages of {} bytes, not {}", page, head_bytes_), 0);
  try {
    checksums_ = parse_hex(value(checksums_key));
  } catch (const std::invalid_argument& broken) {
    refuse(fmt::format("{}: {}", checksums_key, broken.what()), 0);
  }
  const auto chunks = round_up(bytes_ - head_bytes_, chunk_) / chunk_;
  if (checksums_.size() != chunks)
    refuse(fmt::format("it has {} checksums for {} chunks", checksums_.size(), chunks), 0);
}

void ShardFile::check_entries(const Manifest& manifest, std::size_t file) {
  for (const auto& entry : header_.entries) by_name_.push_back(&entry);
  std::ranges::sort(by_name_, {}, &safetensors::Entry::name);
  std::size_t expected = 0;
  for (const auto& tensor : manifest.tensors) {
    const auto range = manifest.piece(tensor, file);
    if (!range) continue;
    ++expected;
    const auto name = Manifest::name_in(manifest.files[file], tensor);
    const auto at = std::ranges::lower_bound(by_name_, name, {}, &safetensors::Entry::name);
    if (at == by_name_.end() || (*at)->name != name)
      refuse(fmt::format("tensor \"{}\" is not in it, where the manifest has it", name), 0);
    if ((*at)->tutti_dtype() != tensor.dtype || (*at)->bytes != static_cast<std::uint64_t>(range->size())) {
      refuse(fmt::format("tensor \"{}\" is {} bytes of {} in it, and {} bytes of {} in the manifest", name,
                         (*at)->bytes, (*at)->dtype, range->size(), name_of(tensor.dtype)),
             (*at)->offset);
    }
  }
  if (expected != by_name_.size())
    refuse(fmt::format("it has {} tensors, and the manifest has {} there", by_name_.size(), expected), 0);
}

std::uint64_t ShardFile::offset_of(const std::string& name) const {
  return (*std::ranges::lower_bound(by_name_, name, {}, &safetensors::Entry::name))->offset;
}

void ShardFile::check_chunk(std::uint64_t chunk, std::span<const std::byte> data) const {
  const auto found = chunk_checksum(data);
  if (found == checksums_[chunk]) return;
  const auto begin = head_bytes_ + chunk * chunk_;
  std::string_view tensor;
  for (const auto& entry : header_.entries) {
    if (entry.offset < begin + data.size() && entry.offset + entry.bytes > begin && tensor.empty())
      tensor = entry.name;
  }
  DamagedChunk damage(
      fmt::format("checkpoint: {}: byte {}: damaged: the {} bytes from here on have the checksum {:016x} and "
                  "not {:016x}; tensor \"{}\" is there",
                  source_->path(), begin, data.size(), found, checksums_[chunk], tensor),
      source_->path(), static_cast<std::int64_t>(begin));
  damage.tensor = tensor;
  damage.expected = checksums_[chunk];
  damage.found = found;
  damage.end = begin + data.size();
  throw damage;
}

void ShardFile::read(std::span<const Extract> extracts, Pages& scratch) const {
  if (extracts.front().to && source_->read_authentic(extracts)) return;
  const auto first = (extracts.front().begin - head_bytes_) / chunk_;
  const auto last = (extracts.back().end() - head_bytes_ - 1) / chunk_;  // inclusive
  const auto from = head_bytes_ + first * chunk_;
  const auto to = std::min(head_bytes_ + (last + 1) * chunk_, bytes_);
  if (scratch.size() < to - from) scratch = Pages(to - from);
  const auto got = source_->read(scratch.data(), to - from, from);
  if (got < to - from) refuse("the file ends here: it became shorter", from + got);
  // One chunk after the other, so that it is copied while it is in the cache.
  auto extract = extracts.begin();
  for (auto chunk = first; chunk <= last; ++chunk) {
    const auto begin = head_bytes_ + chunk * chunk_, end = std::min(begin + chunk_, to);
    const auto data = scratch.span().subspan(begin - from, end - begin);
    check_chunk(chunk, data);
    while (extract != extracts.end() && extract->begin < end) {
      copy_overlap(*extract, begin, data);
      if (extract->end() > end) break;
      ++extract;
    }
  }
}

}  // namespace tutti::checkpoint
