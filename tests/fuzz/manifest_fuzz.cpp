// Any manifest.json is refused by a CheckpointError, or says of each byte of each tensor which file has it.
#include <cstdint>
#include <string>

#include "checkpoint/checksum.h"
#include "checkpoint/manifest.h"
#include "tests/fuzz/require.h"
#include "tutti/core/error.h"

namespace {

using namespace tutti;
using namespace tutti::checkpoint;
using test::require;

void check(const std::string& text) {
  Manifest manifest;
  try {
    manifest = parse_manifest(text, "input");
  } catch (const CheckpointError&) {
    return;
  }
  for (const auto& tensor : manifest.tensors) {
    std::int64_t end = 0, pieces = 0;
    for (std::size_t file = 0; file < manifest.files.size(); ++file) {
      const auto piece = manifest.piece(tensor, file);
      if (!piece) continue;
      ++pieces;
      require(piece->begin == end && piece->end >= end, "one piece begins where the one before ends");
      require(piece->end % static_cast<std::int64_t>(size_of(tensor.dtype)) == 0, "no element is cut");
      end = piece->end;
      Manifest::name_in(manifest.files[file], tensor);
    }
    require(end == tensor.bytes(), "the pieces are the tensor");
    require(tensor.bytes() > 0 || pieces == 1, "one without elements is in one file");
  }
  const auto again = text_of(manifest);
  require(text_of(parse_manifest(again, "again")) == again, "written and read, it is the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check(text);
  check(text + ",\n\"digest\":\"" + digest(text) + "\"}\n");  // else fuzzing would never get further
  return 0;
}
