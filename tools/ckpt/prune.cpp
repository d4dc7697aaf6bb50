#include <fmt/format.h>

#include <memory>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "ckpt/progress.h"
#include "ckpt/text.h"
#include "tutti/checkpoint/upkeep.h"

namespace tutti::ckpt {
namespace {

int run(const std::string& directory, checkpoint::PruneOptions options, const Common& common) {
  checkpoint::Pruned pruned;
  {
    if (!common.key_files.empty()) options.keys = keys_of(common.key_files);
    Progress progress("prune: verifying", 0);
    options.progress = progress.report();
    pruned = checkpoint::prune(directory, options);
  }
  if (common.json) {
    print_json({{"dry_run", options.dry_run},
                {"kept", pruned.kept},
                {"removed", pruned.removed},
                {"busy", pruned.busy},
                {"damaged", pruned.damaged},
                {"leftovers", pruned.leftovers}});
  } else {
    const auto print = [](const char* what, const std::vector<std::string>& paths) {
      for (const auto& path : paths) fmt::print("{:<20} {}\n", what, path);
    };
    print("stays", pruned.kept);
    print("stays, being read", pruned.busy);
    print("stays, DAMAGED", pruned.damaged);
    print(options.dry_run ? "would be removed" : "removed", pruned.removed);
    print(options.dry_run ? "would be cleared" : "cleared", pruned.leftovers);
  }
  return pruned.damaged.empty() ? success : found;
}

}  // namespace

Action add_prune(CLI::App& app, const Common& common) {
  struct Options {
    std::string run;
    checkpoint::PruneOptions prune;
  };
  const auto options = std::make_shared<Options>();
  app.add_option("RUN", options->run, "Directory of a run")->required();
  app.add_option("--keep", options->prune.keep, "How many of the newest good checkpoints stay")
      ->check(CLI::PositiveNumber)
      ->required();
  app.add_option("--keep-every", options->prune.keep_every, "Those of steps divisible by this stay too")
      ->check(CLI::PositiveNumber);
  app.add_flag("--dry-run", options->prune.dry_run, "Only tell what would be removed");
  app.footer(
      "Before anything is removed, checkpoints that stay are read, newest first, until one is good to its "
      "last byte.\n"
      "Damaged ones stay, and count for nothing.");
  return [&common, options] { return run(options->run, options->prune, common); };
}

}  // namespace tutti::ckpt
