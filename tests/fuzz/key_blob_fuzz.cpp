// Any keys.json is refused by a CheckpointError, or holds a data key that can be wrapped anew.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/key_blob.h"
#include "checkpoint/key_blob_text.h"
#include "tests/fuzz/require.h"
#include "tutti/core/error.h"

namespace {

using namespace tutti;
using namespace tutti::checkpoint;
using test::require;

// Wraps by turning all bits over, so that the corpus can hold files that open.
class InvertingKey : public RecipientKey {
 public:
  const std::string& id() const override { return id_; }
  std::vector<std::byte> wrap(std::span<const std::byte, data_key_bytes> data_key,
                              std::string_view) const override {
    std::vector<std::byte> wrapped(data_key.begin(), data_key.end());
    for (auto& byte : wrapped) byte = ~byte;
    return wrapped;
  }
  void unwrap(std::span<const std::byte> wrapped, std::string_view,
              std::span<std::byte, data_key_bytes> data_key) const override {
    if (wrapped.size() != data_key_bytes) throw CheckpointError("no key of this", "");
    std::ranges::transform(wrapped, data_key.begin(), [](std::byte byte) { return ~byte; });
  }

 private:
  std::string id_ = "fuzz";
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::shared_ptr<const RecipientKey>> keys{std::make_shared<InvertingKey>()};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto blob = parse_key_blob(text, "input");
    const auto again = to_text(blob);
    require(to_text(parse_key_blob(again, "again")) == again, "written and read, it is the same");
  } catch (const CheckpointError&) {
  }
  try {
    const auto opened = open(text, keys, "input");
    const auto again = open(rewrap(text, keys, keys, "input"), keys, "again");
    require(again.uuid == opened.uuid, "wrapped anew, it is of the same checkpoint");
    require(std::ranges::equal(again.data_key.bytes(), opened.data_key.bytes()),
            "and opens to the same data key");
  } catch (const CheckpointError&) {
  }
  return 0;
}
