#include <fmt/format.h>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "ckpt/progress.h"
#include "ckpt/text.h"
#include "tutti/checkpoint/upkeep.h"

namespace tutti::ckpt {

int prune(const std::string& directory, checkpoint::PruneOptions options, const Common& common) {
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

}  // namespace tutti::ckpt
