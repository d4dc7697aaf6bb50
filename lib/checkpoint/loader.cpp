#include "checkpoint/loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>

#include "checkpoint/landing.h"
#include "checkpoint/open_checkpoint.h"
#include "checkpoint/outcome.h"
#include "checkpoint/run_directory.h"
#include "tutti/core/error.h"
#include "tutti/core/logging.h"
#include "tutti/tensor/creation.h"

namespace tutti::checkpoint {
namespace {

void check_logical_ranks(const Manifest& manifest, const std::string& path, const Communicator& world) {
  const auto saved = manifest.logical_ranks, here = std::int64_t{world.logical_ranks().count()};
  if (saved == here) return;
  throw CheckpointError(
      fmt::format("checkpoint: {} was saved with {} logical ranks, this world has {}: {}", path, saved, here,
                  saved >= world.size()
                      ? fmt::format("set WorldOptions::logical_ranks or TUTTI_LOGICAL_RANKS to {}", saved)
                      : fmt::format("it goes on in worlds of at most {}, not {}", saved, world.size())),
      path);
}

// What a state consists of.
struct Wishes {
  ShardedTensors tensors;
  std::set<std::string> in_place;  // names of those that are read to where they are
  std::vector<std::string>
      untold;  // roles of parts that have no state now, as loaders in the middle of a step
};

bool is_same_memory(const Tensor& a, const Tensor& b) {
  return a.raw_data() == b.raw_data() && a.dtype() == b.dtype() && a.numel() == b.numel();
}

Wishes wishes_of(const TrainState& state) {
  Wishes wishes;
  for (const auto& part : state.parts()) {
    try {
      std::ranges::move(TrainState::shards(part), std::back_inserter(wishes.tensors));
    } catch (const DataError&) {
      wishes.untold.push_back(part.role);
    }
  }
  std::map<std::string_view, const Tensor*> in_place;
  const auto told = state.in_place();
  for (const auto& [name, tensor] : told) in_place[name] = &tensor;
  for (const auto& [name, shape, sharding, local] : wishes.tensors) {
    const auto found = in_place.find(name);
    if (found != in_place.end() && is_same_memory(local, *found->second)) wishes.in_place.insert(name);
  }
  return wishes;
}

// With what `manifest` has for the parts that did not tell: they look at it themselves.
ShardedTensors completed(const Wishes& wishes, const Manifest& manifest) {
  ShardedTensors all = wishes.tensors;
  for (const auto& role : wishes.untold) {
    for (const auto& tensor : manifest.tensors) {
      if (tensor.name.starts_with(role + "."))
        all.push_back({tensor.name, tensor.shape, {}, empty(tensor.shape, {tensor.dtype, Device::cpu()})});
    }
  }
  return all;
}

using ByName = std::map<std::string_view, std::size_t>;

// Where each tensor of `state` is in the manifest. Throws where the two are not of one run.
ByName match(const Manifest& manifest, const std::string& path, const ShardedTensors& state) {
  ByName places;
  for (std::size_t i = 0; i < manifest.tensors.size(); ++i) places[manifest.tensors[i].name] = i;
  ByName unexpected = places;
  std::vector<std::string> missing, others;
  for (const auto& tensor : state) {
    const auto found = places.find(tensor.name);
    if (found == places.end()) {
      missing.push_back(tensor.name);
      continue;
    }
    unexpected.erase(tensor.name);
    const auto& saved = manifest.tensors[found->second];
    if (saved.shape != tensor.shape)
      others.push_back(
          fmt::format("{} is {}, the state has {}", tensor.name, tensor.shape.str(), saved.shape.str()));
    else if (saved.dtype != tensor.local.dtype())
      others.push_back(fmt::format("{} is {}, the state has {}", tensor.name, name_of(tensor.local.dtype()),
                                   name_of(saved.dtype)));
  }
  std::vector<std::string> rules;
  if (!missing.empty()) rules.push_back(fmt::format("missing: {}", fmt::join(missing, ", ")));
  if (!unexpected.empty()) {
    std::vector<std::string_view> names;
    for (const auto& [name, place] : unexpected) names.push_back(name);
    rules.push_back(fmt::format("unexpected: {}", fmt::join(names, ", ")));
  }
  if (!others.empty()) rules.push_back(fmt::format("{}", fmt::join(others, "; ")));
  if (!rules.empty())
    throw CheckpointError(fmt::format("checkpoint: {} does not fit: {}", path, fmt::join(rules, "; ")), path);
  return places;
}

// Any other byte in a C++ bool would be undefined behaviour later.
void check_bools(const NamedTensor& part, const std::string& path) {
  if (part.tensor.dtype() != DType::bool_) return;
  const auto* bytes = static_cast<const unsigned char*>(part.tensor.raw_data());
  const auto* end = bytes + part.tensor.numel();
  if (std::find_if(bytes, end, [](unsigned char byte) { return byte > 1; }) != end)
    throw CheckpointError(fmt::format("checkpoint: {}: tensor \"{}\": a BOOL is 0 or 1", path, part.name),
                          path);
}

// What is read to memory of its own first, since a part has to be asked whether it takes it.
struct Rest {
  NamedTensors tensors;
  std::vector<Wanted> wanted;
};

Rest rest_of(const ShardedTensors& state, const Wishes& wishes, const ByName& places, int rank,
             const std::shared_ptr<Pages>& memory) {
  std::vector<const ShardedTensor*> tensors;
  std::size_t bytes = 0;
  for (const auto& tensor : state) {
    if (wishes.in_place.contains(tensor.name)) continue;
    tensors.push_back(&tensor);
    bytes += Landing::room_for(tensor.local);
  }
  Landing landing(memory, bytes);
  Rest rest;
  for (const auto* tensor : tensors) {
    rest.tensors.push_back({tensor->name, landing.take(tensor->local.shape(), tensor->local.dtype())});
    rest.wanted.push_back({places.at(tensor->name), tensor->sharding.range(rank, tensor->bytes()),
                           static_cast<std::byte*>(rest.tensors.back().tensor.raw_data())});
  }
  return rest;
}

std::vector<Wanted> wanted_in_place(const ShardedTensors& state, const Wishes& wishes, const ByName& places,
                                    int rank) {
  std::vector<Wanted> wanted;
  for (const auto& tensor : state) {
    if (!wishes.in_place.contains(tensor.name)) continue;
    wanted.push_back({places.at(tensor.name), tensor.sharding.range(rank, tensor.bytes()),
                      static_cast<std::byte*>(tensor.local.raw_data())});
  }
  return wanted;
}

// What is wrong with the checkpoint, and not with what it is to be put into.
class Damaged : public CheckpointError {
 public:
  using CheckpointError::CheckpointError;
};

void read_together(Communicator& world, const std::string& path, Action action) {
  try {
    together(world, path, action);
  } catch (const OutOfMemory&) {
    throw;
  } catch (const CheckpointError& error) {
    throw Damaged(error.what(), path);
  }
}

// A collective call. `steps` where the directory is known to be of that step. `begun` becomes true when the state begins to
// be overwritten, which it is even if the rest of a tensor cannot be read then.
Restored load_one(const std::string& path, std::optional<std::int64_t> steps, Communicator& world,
                  const TrainState& state, const Wishes& wishes, const std::optional<Encryption>& keys,
                  const std::shared_ptr<Pages>& memory, bool& begun) {
  // Not for passing over: a run without its keys would begin anew, and one in plaintext may be forged.
  DataKeyPointer key;
  together(world, path, [&] {
    if (world.rank() == 0) key = unlock(Directory(path), steps.value_or(0), keys ? &*keys : nullptr);
  });
  if (keys) key = share(key, world);
  std::unique_ptr<OpenCheckpoint> checkpoint;
  read_together(world, path, [&] {
    checkpoint = std::make_unique<OpenCheckpoint>(Directory(path), key);
    const auto& manifest = checkpoint->manifest();
    if (steps && manifest.steps != *steps) {
      throw CheckpointError(fmt::format("checkpoint: {}: its manifest is of step {}", path, manifest.steps),
                            path);
    }
  });
  Restored restored;
  restored.steps = checkpoint->manifest().steps;
  restored.path = path;
  restored.digest = checkpoint->digest();
  ShardedTensors shards;
  ByName places;
  together(world, path, [&] {
    check_logical_ranks(checkpoint->manifest(), path, world);
    shards = completed(wishes, checkpoint->manifest());
    places = match(checkpoint->manifest(), path, shards);
  });
  Rest rest;
  read_together(world, path, [&] {
    rest = rest_of(shards, wishes, places, world.rank(), memory);
    restored.bytes_read = checkpoint->read(rest.wanted);
    for (const auto& tensor : rest.tensors) check_bools(tensor, path);
  });
  // By itself, since a part may be one that loads by collectives.
  together(world, path, [&] {
    try {
      state.load_rest(rest.tensors);
    } catch (const Error& error) {
      throw CheckpointError(fmt::format("checkpoint: {} does not fit: {}", path, error.what()), path);
    }
  });
  begun = begun || std::ranges::any_of(state.parts(), [](const auto& part) { return bool(part.in_place); });
  read_together(world, path, [&] {
    restored.bytes_read += checkpoint->read(wanted_in_place(shards, wishes, places, world.rank()));
  });
  together(world, path, [&] { state.loaded(); });
  return restored;
}

constexpr auto overwritten = "; the state is overwritten in part, and has to be set anew";

// In a handler of `error`.
[[noreturn]] void rethrow(const CheckpointError& error, bool begun) {
  if (!begun || dynamic_cast<const OutOfMemory*>(&error)) throw;
  throw CheckpointError(std::string(error.what()) + overwritten, error.file(), error.offset());
}

// Looks anew each time: a saver may be at work in the directory. -1 where there is none that was not tried. A collective
// call, as the next.
std::int64_t newest(const std::string& directory, Communicator& world,
                    const std::vector<std::int64_t>& tried) {
  std::int64_t steps = -1;
  together(world, directory, [&] {
    if (world.rank() != 0) return;
    const auto all = list(Directory(directory));
    const auto found = std::ranges::find_if(
        all, [&](std::int64_t one) { return std::ranges::find(tried, one) == tried.end(); });
    if (found != all.end()) steps = *found;
  });
  world.broadcast(BufferView(&steps, 1, DType::i64));
  return steps;
}

// A collective call: a part may throw what it likes.
Wishes wishes_of(const TrainState& state, const std::string& path, Communicator& world) {
  Wishes wishes;
  together(world, path, [&] { wishes = wishes_of(state); });
  return wishes;
}

// Whether a checkpoint that could not be read is no longer there.
bool is_gone(const std::string& directory, Communicator& world, std::int64_t steps) {
  std::int64_t gone = 0;
  together(world, directory, [&] {
    if (world.rank() == 0) gone = Directory(directory).has(step_name(steps)) ? 0 : 1;
  });
  world.broadcast(BufferView(&gone, 1, DType::i64));
  return gone == 1;
}

}  // namespace

Restored load(const std::string& path, Communicator& world, const TrainState& state) {
  bool begun = false;
  const auto wishes = wishes_of(state, path, world);
  try {
    return load_one(path, std::nullopt, world, state, wishes, std::nullopt, nullptr, begun);
  } catch (const CheckpointError& error) {
    rethrow(error, begun);
  }
}

Restored restore(const std::string& directory, Communicator& world, const TrainState& state,
                 const std::optional<Encryption>& keys, std::vector<std::int64_t>& damaged,
                 const std::shared_ptr<Pages>& memory) {
  const auto begin = std::chrono::steady_clock::now();
  damaged.clear();
  const auto wishes = wishes_of(state, directory, world);
  std::vector<std::int64_t> tried;
  std::vector<Restored::PassedOver> passed_over;
  bool begun = false;
  while (true) {
    const auto steps = newest(directory, world, tried);
    if (steps < 0) break;
    tried.push_back(steps);
    const auto path = directory + "/" + step_name(steps);
    try {
      auto restored = load_one(path, steps, world, state, wishes, keys, memory, begun);
      restored.passed_over = std::move(passed_over);
      restored.elapsed = std::chrono::steady_clock::now() - begin;
      return restored;
    } catch (const CheckpointError& error) {
      if (is_gone(directory, world, steps)) continue;  // a saver at work has newer ones
      if (!dynamic_cast<const Damaged*>(&error)) rethrow(error, begun);
      passed_over.push_back({path, error.what()});
      damaged.push_back(steps);
      logging::write(logging::Level::warning,
                     fmt::format("checkpoint: {} is passed over: {}", path, error.what()));
    }
  }
  if (passed_over.empty()) return {};
  std::vector<std::string> reasons;
  for (const auto& [path, reason] : passed_over) reasons.push_back(reason);
  throw CheckpointError(fmt::format("checkpoint: every checkpoint in {} is damaged: {}{}", directory,
                                    fmt::join(reasons, "; "), begun ? overwritten : ""),
                        directory);
}

}  // namespace tutti::checkpoint
