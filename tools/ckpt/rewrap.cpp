#include <fmt/format.h>

#include <memory>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "ckpt/text.h"
#include "tutti/checkpoint/upkeep.h"

namespace tutti::ckpt {
namespace {

int run(const std::string& given, const std::vector<std::string>& recipients, const Common& common) {
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

}  // namespace

Action add_rewrap(CLI::App& app, const Common& common) {
  struct Options {
    std::string path;
    std::vector<std::string> recipients;
  };
  const auto options = std::make_shared<Options>();
  app.add_option("CHECKPOINT|RUN", options->path,
                 "Directory of a checkpoint, or of a run: all of its checkpoints")
      ->required();
  app.add_option("--recipient", options->recipients,
                 "A key that is to open it, all others not; may be given again")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->required();
  app.footer("Only keys.json is written. --key-file names a key that opens it now.");
  return [&common, options] { return run(options->path, options->recipients, common); };
}

}  // namespace tutti::ckpt
