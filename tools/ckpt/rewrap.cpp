#include <fmt/format.h>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "ckpt/text.h"
#include "tutti/checkpoint/upkeep.h"

namespace tutti::ckpt {

int rewrap(const std::string& given, const std::vector<std::string>& recipients, const Common& common) {
  const auto keys = keys_of(common.key_files), fresh = keys_of(recipients);
  auto done = nlohmann::ordered_json::array();
  for (const auto& path : checkpoints_at(given)) {
    checkpoint::rewrap(path, keys, fresh);
    done.push_back(path);
    if (!common.json) fmt::print("{}\n", path);
  }
  if (common.json) print_json({{"rewrapped", done}});
  return success;
}

}  // namespace tutti::ckpt
