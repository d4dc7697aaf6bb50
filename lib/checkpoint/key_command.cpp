#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "checkpoint/helper_program.h"
#include "checkpoint/secret.h"
#include "tutti/checkpoint/encryption.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using namespace checkpoint;

static_assert(RecipientKey::max_wrapped_bytes <= max_helper_bytes);

class CommandKey : public RecipientKey {
 public:
  explicit CommandKey(KeyCommand command) : command_(std::move(command)) {}

  const std::string& id() const override { return command_.id; }

  std::vector<std::byte> wrap(std::span<const std::byte, data_key_bytes> data_key,
                              std::string_view context) const override {
    std::vector<std::byte> wrapped(max_wrapped_bytes);
    wrapped.resize(run(command_.wrap, "wrap", context, data_key, wrapped));
    if (wrapped.empty()) fail(command_.wrap[0], "its answer is empty");
    if (std::search(wrapped.begin(), wrapped.end(), data_key.begin(), data_key.end()) != wrapped.end())
      fail(command_.wrap[0], "its answer shows the data key as it is");
    return wrapped;
  }

  void unwrap(std::span<const std::byte> wrapped, std::string_view context,
              std::span<std::byte, data_key_bytes> data_key) const override {
    const auto size = run(command_.unwrap, "unwrap", context, wrapped, data_key);
    if (size != data_key_bytes) {
      fail(command_.unwrap[0], fmt::format("a data key is {} bytes, its answer {}", data_key_bytes, size));
    }
  }

 private:
  [[noreturn]] static void fail(std::string_view program, std::string_view what) {
    throw CheckpointError(fmt::format("key command: {}: {}", program, what), "");
  }

  std::size_t run(const std::vector<std::string>& arguments, std::string_view task, std::string_view context,
                  std::span<const std::byte> input, std::span<std::byte> output) const {
    if (arguments.empty()) fail(command_.id, fmt::format("it has no command to {} a data key", task));
    return run_helper(arguments, fmt::format("TUTTI_KEY_CONTEXT={}", context), input, output,
                      command_.timeout);
  }

  KeyCommand command_;
};

}  // namespace

std::shared_ptr<const RecipientKey> key_command(KeyCommand command) {
  if (command.id.empty() || command.id.size() > 256) {
    throw ConfigError(fmt::format("key command: an id has 1 to 256 bytes, not {}", command.id.size()));
  }
  if (command.timeout < std::chrono::milliseconds(1)) {
    throw ConfigError(fmt::format("key command: a timeout of {} ms is no time", command.timeout.count()));
  }
  if (command.wrap.empty() && command.unwrap.empty()) {
    throw ConfigError(fmt::format("key command: {}: neither wrap nor unwrap is given", command.id));
  }
  return std::make_shared<CommandKey>(std::move(command));
}

}  // namespace tutti
