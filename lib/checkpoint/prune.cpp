#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "checkpoint/key_blob.h"
#include "checkpoint/run_directory.h"
#include "tutti/checkpoint/checkpoint.h"
#include "tutti/checkpoint/upkeep.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

// Whether its manifest can be read and, if `all`, every byte.
bool is_good(const std::string& path, bool all, const PruneOptions& options) {
  try {
    const Checkpoint checkpoint(path, options.keys);
    return !all || checkpoint.verify(options.progress).empty();
  } catch (const CheckpointError&) {
    // What no key was given for may well be good.
    if (Directory(path).has(std::string(key_blob_name)) != options.keys.has_value()) throw;
    return false;
  }
}

class Choice {
 public:
  Choice(const Directory& root, const PruneOptions& options) : root_(root), options_(options) {}

  // Puts every checkpoint into one of the lists.
  Pruned make() {
    for (const auto steps : list(root_))
      all_.push_back({steps, is_good(root_.path(step_name(steps)), false, options_), false});
    choose();
    // Reading says more than a manifest: what turns out damaged counts no more, and an older one stays in its place.
    while (true) {
      const auto newest = std::ranges::find_if(all_, &One::stays);
      if (newest == all_.end() || is_good(path(*newest), true, options_)) break;
      newest->good = false;
      choose();
    }
    Pruned pruned;
    for (const auto& one : all_)
      (!one.good ? pruned.damaged : one.stays ? pruned.kept : pruned.removed).push_back(path(one));
    return pruned;
  }

 private:
  struct One {
    std::int64_t steps;
    bool good, stays;
  };

  std::string path(const One& one) const { return root_.path(step_name(one.steps)); }

  void choose() {
    std::int64_t good = 0;
    for (auto& one : all_) {
      one.stays = one.good && (good++ < options_.keep ||
                               (options_.keep_every > 0 && one.steps % options_.keep_every == 0));
    }
  }

  const Directory& root_;
  const PruneOptions& options_;
  std::vector<One> all_;  // newest first
};

}  // namespace

Pruned prune(const std::string& directory, const PruneOptions& options) {
  if (options.keep < 1 || options.keep_every < 0) {
    throw ConfigError(fmt::format("checkpoint: keep must be at least 1 and keep_every 0, not {} and {}",
                                  options.keep, options.keep_every));
  }
  const Directory root(directory);
  std::optional<SaverLock> lock;
  if (!options.dry_run) lock.emplace(root);
  auto pruned = Choice(root, options).make();
  for (const auto& name : leftovers(root)) pruned.leftovers.push_back(root.path(name));
  if (options.dry_run) return pruned;
  std::vector<std::string> removed;
  std::ranges::reverse(pruned.removed);  // the oldest goes first
  for (const auto& path : pruned.removed) {
    const auto name = path.substr(path.rfind('/') + 1);
    (set_aside(root, name) ? removed : pruned.busy).push_back(path);
  }
  for (auto* paths : {&removed, &pruned.busy}) std::ranges::reverse(*paths);
  pruned.removed = std::move(removed);
  clear_leftovers(root);
  root.sync();
  return pruned;
}

}  // namespace tutti::checkpoint
