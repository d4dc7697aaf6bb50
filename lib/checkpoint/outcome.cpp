#include "checkpoint/outcome.h"

#include <algorithm>
#include <vector>

#include "tutti/core/error.h"

namespace tutti::checkpoint {

void together(Communicator& world, const std::string& file, const std::function<void()>& action) {
  std::string message;
  try {
    action();
  } catch (const std::exception& error) {
    message = error.what();
    if (message.empty()) message = "checkpoint: an error without a message";
  }
  std::vector<std::int64_t> mine{static_cast<std::int64_t>(message.size())};
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(world.size()));
  world.all_gather(mine, lengths);
  const auto failed = std::ranges::find_if(lengths, [](std::int64_t length) { return length > 0; });
  if (failed == lengths.end()) return;
  message.resize(static_cast<std::size_t>(*failed));
  world.broadcast(BufferView(message.data(), message.size(), DType::u8),
                  static_cast<int>(failed - lengths.begin()));
  throw CheckpointError(message, file);
}

}  // namespace tutti::checkpoint
