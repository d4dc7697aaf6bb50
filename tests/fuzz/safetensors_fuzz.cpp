// Any bytes are refused by a CheckpointError or are a safetensors file that can be written again; of what is lenient the tail is
// all that a strict reader objects to.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

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

// Strict or lenient, tensors of all dtypes in any parts: each way to read gives the same bytes.
std::vector<std::byte> read_in_parts(const Reader& reader, const Mapping& mapping, const Entry& entry) {
  std::vector<std::byte> bytes(entry.bytes);
  const std::uint64_t middle = entry.bytes / 3;
  reader.read_bytes(entry, middle, std::span(bytes).subspan(middle));
  reader.read_bytes(entry, 0, std::span(bytes).first(middle));
  require(std::ranges::equal(bytes, mapping.bytes(mapping.at(entry.name))),
          "the map has the bytes that are read");
  try {
    std::byte beyond;
    reader.read_bytes(entry, entry.bytes, {&beyond, 1});
    require(false, "nothing is read beyond a tensor");
  } catch (const ShapeError&) {
  }
  return bytes;
}

void check_elements(const Reader& reader, const Mapping& mapping, const Entry& entry) {
  Tensor whole;
  try {
    whole = reader.read(entry);
  } catch (const CheckpointError&) {
    return;  // a type, a shape or a bool that Tutti lacks
  }
  const auto count = static_cast<std::uint64_t>(whole.numel());
  const auto size = size_of(whole.dtype());
  const std::uint64_t first = count / 3;
  std::vector<std::uint64_t> room(((count - first) * size + 7) / 8);
  reader.read(entry, first, BufferView(room.data(), count - first, whole.dtype()));
  const auto* all = static_cast<const std::byte*>(whole.raw_data());
  require(count == first || std::memcmp(room.data(), all + first * size, (count - first) * size) == 0,
          "a range has the elements of the whole");
  const Tensor mapped = mapping.tensor(mapping.at(entry.name));
  require(count == 0 || std::memcmp(mapped.raw_data(), all, count * size) == 0,
          "the map has the elements that are read");
}

// By bytes, so that dtypes that Tutti lacks take part.
void check_parts(const std::string& path, const std::string& copy, const ReadOptions& options) {
  const Reader reader(path, options);
  const Mapping mapping(path, options);
  std::vector<Declaration> declarations;
  for (const auto& entry : reader.entries()) declarations.push_back({entry.name, entry.dtype, entry.shape});
  Writer writer(copy, std::move(declarations), reader.metadata());
  for (const auto& entry : reader.entries()) {
    const auto bytes = read_in_parts(reader, mapping, entry);
    check_elements(reader, mapping, entry);
    const auto middle = bytes.size() / 2;
    writer.write(entry.name, middle, std::span(bytes).subspan(middle));
    writer.write(entry.name, 0, std::span(bytes).first(middle));
  }
  require(writer.written() == writer.bytes(), "as many bytes were written as declared");
  writer.commit();
  const Reader again(copy);
  require(again.metadata() == reader.metadata(), "written again, the metadata are the same");
  require(again.entries().size() == reader.entries().size(), "written again, there are as many tensors");
  for (const auto& entry : reader.entries()) {
    const auto& other = again.at(entry.name);
    require(other.dtype == entry.dtype && other.shape == entry.shape,
            "written again, a tensor is declared alike");
    std::vector<std::byte> bytes(entry.bytes), others(other.bytes);
    reader.read_bytes(entry, 0, bytes);
    again.read_bytes(other, 0, others);
    require(bytes == others, "written again, a tensor has the same bytes");
  }
}

bool is_refused(std::span<const std::byte> bytes) {
  try {
    parse_header(bytes, bytes.size(), "input");
  } catch (const CheckpointError&) {
    return true;
  }
  return false;
}

// What only a lenient reader takes is a strict one's file and a tail.
void check_tail(const std::string& path, const std::string& copy, std::span<const std::byte> bytes) {
  Header header;
  try {
    header = parse_header(bytes, bytes.size(), "input", {.lenient = true});
  } catch (const CheckpointError&) {
    require(is_refused(bytes), "a lenient reader takes what a strict one does");
    return;
  }
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  auto end = sizeof length + length;
  for (const auto& entry : header.entries) end = std::max(end, entry.offset + entry.bytes);
  require(end <= bytes.size(), "the tensors lie in the file");
  const auto strict = parse_header(bytes.first(end), end, "cut");
  require(strict.entries.size() == header.entries.size(), "without its tail the file is the same");
  test::write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  check_parts(path, copy, {.lenient = true});
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
  const auto bytes = std::as_bytes(std::span(data, size));
  check_tail(path, copy, bytes);  // a strict reader's files too
  Header header;
  NamedTensors tensors;
  try {
    header = parse_header(bytes, size, "input");
    check_header(header, size);
    tensors = load_sorted(path);
  } catch (const CheckpointError&) {
    return 0;  // also for types and shapes that Tutti lacks
  }
  save(copy, tensors, header.metadata);
  require(std::ranges::equal(load_sorted(copy), tensors, same), "saved and loaded, the tensors are the same");
  require(Reader(copy).metadata() == header.metadata, "saved and loaded, the metadata are the same");
  return 0;
}
