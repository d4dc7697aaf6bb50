// Any bytes are refused by a DataError or are an IDX file, plain or gzip, that can be written again.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "tests/data/idx_bytes.h"
#include "tests/fuzz/require.h"
#include "tutti/core/error.h"
#include "tutti/data/idx.h"

namespace {

using namespace tutti;
using data::IdxFile;

IdxFile parse(const std::string& bytes) {
  return data::parse_idx(std::as_bytes(std::span(bytes)), "again.idx");
}

std::string write(const IdxFile& file) {
  const int code = file.dtype == DType::u8    ? 0x08
                   : file.dtype == DType::i32 ? 0x0c
                   : file.dtype == DType::f32 ? 0x0d
                                              : 0x0e;
  std::string payload(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
  const auto width = static_cast<std::ptrdiff_t>(size_of(file.dtype));
  for (auto at = payload.begin(); at != payload.end(); at += width) std::reverse(at, at + width);
  return test::idx(code, {file.shape.begin(), file.shape.end()}, payload);
}

bool same(const IdxFile& a, const IdxFile& b) {
  return a.dtype == b.dtype && a.shape == b.shape && a.bytes == b.bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  IdxFile file;
  try {
    file = data::parse_idx(std::as_bytes(std::span(data, size)), "input.idx");
  } catch (const DataError&) {
    return 0;
  }
  test::require(file.bytes.size() == static_cast<std::size_t>(file.shape.numel()) * size_of(file.dtype),
                "the bytes are those of the shape");
  const auto plain = write(file);
  test::require(same(parse(plain), file), "written plain and parsed, it is the same");
  test::require(same(parse(test::gzip(plain)), file), "written as gzip and parsed, it is the same");
  return 0;
}
