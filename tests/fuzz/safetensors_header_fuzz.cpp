// Any bytes are refused by a CheckpointError or have the header of a safetensors file, which can be written again; of what is
// lenient the tail is all that a strict reader objects to.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "tests/fuzz/require.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"

namespace {

using namespace tutti;
using namespace tutti::safetensors;
using test::require;

// Written here and not by the library, which lacks some of the format's types.
std::string header_bytes(const Header& header, std::uint64_t data_begin) {
  auto json = nlohmann::json::object();
  if (!header.metadata.empty()) json["__metadata__"] = header.metadata;
  for (const auto& entry : header.entries) {
    const auto begin = entry.offset - data_begin;
    json[entry.name] = {
        {"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", {begin, begin + entry.bytes}}};
  }
  const auto text = json.dump();
  const std::uint64_t length = text.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + text;
}

void check_header(Header header, std::uint64_t file_bytes) {
  std::uint64_t data_bytes = 0;
  for (const auto& entry : header.entries) data_bytes += entry.bytes;
  require(data_bytes <= file_bytes - 8, "the tensors fit into the file");
  const auto data_begin = file_bytes - data_bytes;
  auto end = data_begin;
  for (const auto& entry : header.entries) {
    require(entry.offset == end, "the tensors lie one behind the other");
    end += entry.bytes;
  }
  const auto bytes = header_bytes(header, data_begin);
  auto again = parse_header(std::as_bytes(std::span(bytes)), bytes.size() + data_bytes, "again");
  require(again.metadata == header.metadata, "the metadata are the same again");
  // Tensors without elements may share an offset, in any order.
  std::ranges::sort(header.entries, {}, &Entry::name);
  std::ranges::sort(again.entries, {}, &Entry::name);
  const auto same = [&](const Entry& a, const Entry& b) {
    return a.name == b.name && a.dtype == b.dtype && a.shape == b.shape && a.bytes == b.bytes &&
           a.offset - data_begin == b.offset - bytes.size();
  };
  require(std::ranges::equal(header.entries, again.entries, same), "the tensors are the same again");
}

std::optional<Header> parsed(std::span<const std::byte> bytes, const ReadOptions& options = {}) {
  try {
    return parse_header(bytes, bytes.size(), "input", options);
  } catch (const CheckpointError&) {
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto strict = parsed(bytes);
  if (strict) check_header(*strict, size);
  const auto lenient = parsed(bytes, {.lenient = true});
  require(lenient || !strict, "a lenient reader takes what a strict one does");
  if (!lenient) return 0;
  std::uint64_t length = 0;
  std::memcpy(&length, data, sizeof length);
  auto end = sizeof length + length;
  for (const auto& entry : lenient->entries) end = std::max(end, entry.offset + entry.bytes);
  require(end <= size, "the tensors lie in the file");
  const auto cut = parse_header(bytes.first(end), end, "cut");
  require(cut.entries.size() == lenient->entries.size(), "without its tail the file is the same");
  return 0;
}
