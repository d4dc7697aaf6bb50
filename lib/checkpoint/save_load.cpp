#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "checkpoint/loader.h"
#include "checkpoint/outcome.h"
#include "checkpoint/write_checkpoint.h"
#include "tutti/checkpoint/checkpoint.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {

namespace {

void save_one(const TrainState& state, const std::string& directory, Communicator& world,
              const SaveOptions& options) {
  auto path = std::filesystem::path(directory);
  if (path.filename().empty()) path = path.parent_path();  // "best/"
  auto manifest = new_manifest(world, options.steps);
  share_uuid(manifest, world);
  Saving saving(path);
  SavePlan plan;
  Staging staging;
  std::optional<Directory> root;
  together(world, path, [&] {
    root.emplace(path.parent_path().string());
    if (world.rank() == 0 && root->has(path.filename()))
      throw CheckpointError(fmt::format("checkpoint: {} is there already", path.string()), path.string());
    const auto shards = state.shards();
    plan = plan_save(std::move(manifest), shards, world.rank(), world.size(), options.single_file);
    staging.copy(plan, shards);
  });
  // A saver of a run would take a name of its own kind for a leftover.
  const auto hidden = ".saving-" + plan.manifest.uuid.substr(0, 16);
  write_checkpoint(world, *root, hidden, path.filename(), plan, staging, saving, std::nullopt);
}

}  // namespace

void save(const TrainState& state, const std::string& directory, Communicator& world,
          const SaveOptions& options) {
  guarded(world, [&] { save_one(state, directory, world, options); });
}

void save(const TrainState& state, const std::string& directory, const SaveOptions& options) {
  Communicator alone;
  save(state, directory, alone, options);
}

std::int64_t load(const TrainState& state, const std::string& directory, Communicator& world) {
  return guarded(world, [&] { return load(directory, world, state).steps; });
}

std::int64_t load(const TrainState& state, const std::string& directory) {
  Communicator alone;
  return load(state, directory, alone);
}

}  // namespace tutti::checkpoint
