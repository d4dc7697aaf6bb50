// Any bytes are refused by a CheckpointError or are a safetensors file that can be written again.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "tests/fuzz/require.h"
#include "tests/support/files.h"
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

NamedTensors load_sorted(const std::string& path) {
  auto tensors = load(path);
  std::ranges::sort(tensors, {}, &NamedTensor::name);
  return tensors;
}

bool same(const NamedTensor& a, const NamedTensor& b) {
  const ConstBufferView x(a.tensor), y(b.tensor);
  return a.name == b.name && x.dtype == y.dtype && a.tensor.shape() == b.tensor.shape() &&
         (x.count == 0 || std::memcmp(x.data, y.data, x.bytes()) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const test::TemporaryDirectory directory;
  const auto path = directory / "input.safetensors";
  const auto copy = directory / "copy.safetensors";
  Header header;
  NamedTensors tensors;
  try {
    header = parse_header(std::as_bytes(std::span(data, size)), size, "input");
    check_header(header, size);
    test::write_file(path, {reinterpret_cast<const char*>(data), size});
    tensors = load_sorted(path);
  } catch (const CheckpointError&) {
    return 0;  // also for types and shapes that Tutti lacks
  }
  save(copy, tensors, header.metadata);
  require(std::ranges::equal(load_sorted(copy), tensors, same), "saved and loaded, the tensors are the same");
  require(Reader(copy).metadata() == header.metadata, "saved and loaded, the metadata are the same");
  return 0;
}
