// Any safetensors file whose header is good reads the same in each way, and can be written again.
#include <algorithm>
#include <cstdint>
#include <cstring>
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
  try {
    parse_header(std::as_bytes(std::span(data, size)), size, "input", {.lenient = true});
  } catch (const CheckpointError&) {
    return 0;
  }
  test::write_file(path, {reinterpret_cast<const char*>(data), size});
  check_parts(path, copy, {.lenient = true});
  NamedTensors tensors;
  try {
    tensors = load_sorted(path);
  } catch (const CheckpointError&) {
    return 0;  // for a tail, and for types and shapes that Tutti lacks
  }
  const auto metadata = Reader(path).metadata();
  save(copy, tensors, metadata);
  require(std::ranges::equal(load_sorted(copy), tensors, same), "saved and loaded, the tensors are the same");
  require(Reader(copy).metadata() == metadata, "saved and loaded, the metadata are the same");
  return 0;
}
