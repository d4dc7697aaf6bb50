#include "checkpoint/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/disk_file.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

constexpr std::string_view model_prefix = "model.";

// No cut is inside an element, and none inside a cache line.
constexpr std::uint64_t unit = 64;

std::int64_t share_of(const ShardedTensors& state, int ranks) {
  std::uint64_t total = 0;
  for (const auto& tensor : state) {
    if (tensor.sharding.share == 0) total += round_up(static_cast<std::uint64_t>(tensor.bytes()), unit);
  }
  const auto count = static_cast<std::uint64_t>(ranks);
  return static_cast<std::int64_t>(std::max(round_up((total + count - 1) / count, unit), unit));
}

void spread(const ShardedTensors& state, int ranks, Manifest& manifest) {
  const std::int64_t share = share_of(state, ranks);
  std::int64_t next = 0;
  for (std::size_t i = 0; i < state.size(); ++i) {
    auto& sharding = manifest.tensors[i].sharding;
    if (sharding.share != 0) continue;
    sharding = {next, share};
    next += static_cast<std::int64_t>(round_up(static_cast<std::uint64_t>(state[i].bytes()), unit));
  }
  for (int r = 0; r < ranks; ++r) {
    manifest.files.push_back(
        {.name = fmt::format("shard-{:05}-of-{:05}.safetensors", r, ranks), .prefix = "", .head_digest = ""});
  }
}

void gather(const ShardedTensors& state, Manifest& manifest) {
  for (std::size_t i = 0; i < state.size(); ++i) {
    const auto whole = state[i].sharding.range(0, state[i].bytes());
    if (whole.size() != state[i].bytes()) {
      throw CheckpointError(
          fmt::format(
              "checkpoint: \"{}\" is spread over ranks, and single_file wants it whole on rank 0: give "
              "TrainState the whole state, or leave the option out",
              state[i].name),
          "");
    }
    auto& tensor = manifest.tensors[i];
    tensor.sharding = {};
    tensor.file = tensor.name.starts_with(model_prefix) ? 0 : 1;
  }
  manifest.files.push_back(
      {.name = "model.safetensors", .prefix = std::string(model_prefix), .head_digest = ""});
  manifest.files.push_back({.name = "train.safetensors", .prefix = "", .head_digest = ""});
}

}  // namespace

SavePlan plan_save(Manifest base, const ShardedTensors& state, int rank, int ranks, bool single_file) {
  SavePlan plan{std::move(base), {}};
  auto& manifest = plan.manifest;
  for (const auto& tensor : state)
    manifest.tensors.push_back({tensor.name, tensor.local.dtype(), tensor.shape, -1, tensor.sharding});
  plan.sharded = ranks > 1 && !single_file;
  if (plan.sharded) {
    spread(state, ranks, manifest);
  } else {
    gather(state, manifest);
  }
  for (std::size_t f = 0; f < manifest.files.size(); ++f) {
    if (rank != (plan.sharded ? static_cast<int>(f) : 0)) continue;
    PlannedFile file{f, {}};
    for (std::size_t i = 0; i < state.size(); ++i) {
      if (const auto range = manifest.piece(manifest.tensors[i], f)) file.pieces.push_back({i, *range});
    }
    plan.files.push_back(std::move(file));
  }
  return plan;
}

}  // namespace tutti::checkpoint
