#include "checkpoint/run_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <optional>

#include "checkpoint/atomic_file.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"
#include "tutti/core/logging.h"
#include "tutti/core/version.h"

namespace tutti::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "step-";
constexpr std::string_view hidden_prefix = ".step-";

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

std::optional<std::int64_t> number_in(const safetensors::Reader& file, const char* key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? std::nullopt : number_in(found->second);
}

std::optional<std::int64_t> steps_of(const fs::directory_entry& entry) {
  const auto name = entry.path().filename().string();
  if (!name.starts_with(prefix) || !entry.is_directory()) return std::nullopt;
  return number_in(std::string_view(name).substr(prefix.size()));
}

std::string hidden(const std::string& root) {
  return fmt::format("{}/{}{}", root, hidden_prefix, random_name());
}

void remove_hidden(const std::string& root) {
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.path().filename().string().starts_with(hidden_prefix)) fs::remove_all(entry.path());
  }
}

// Makes `path`, and first what is missing above it, each lasting in its parent.
void make_directories(fs::path path, const std::string& root) {
  if (path.filename().empty()) path = path.parent_path();  // "run/"
  std::error_code error;
  if (path.empty() || fs::is_directory(path, error)) return;
  make_directories(path.parent_path(), root);
  if (!fs::create_directory(path, error) && error) {
    throw CheckpointError(fmt::format("checkpoint: cannot make directory {}: {}", root, error.message()),
                          root);
  }
  sync_directory(path.parent_path().string());
}

// What had the name `to` before is gone, or has the name `from`.
void rename_over(const std::string& from, const std::string& to, const std::string& root) {
  if (::rename(from.c_str(), to.c_str()) == 0) return;
  if (errno == EEXIST || errno == ENOTEMPTY) {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) return;
    // Not every file system can exchange: for a moment, this step's checkpoint is not there.
    if (::rename(to.c_str(), hidden(root).c_str()) == 0 && ::rename(from.c_str(), to.c_str()) == 0) return;
  }
  throw_system_error("rename a finished checkpoint to", to);
}

}  // namespace

void prepare(const std::string& root) {
  make_directories(root, root);
  if (::faccessat(AT_FDCWD, root.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0)
    throw_system_error("write in directory", root);
}

std::vector<std::int64_t> list(const std::string& root) {
  std::vector<std::int64_t> all;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (const auto steps = steps_of(entry)) all.push_back(*steps);
  }
  std::ranges::sort(all, std::greater{});
  return all;
}

std::string path_of(const std::string& root, std::int64_t steps) {
  return fmt::format("{}/{}{:010}", root, prefix, steps);
}

Snapshot read(const std::string& root, std::int64_t steps) {
  const auto path = path_of(root, steps);
  const safetensors::Reader train(path + "/train.safetensors");
  if (number_in(train, "step") != steps) {
    throw CheckpointError(
        fmt::format("checkpoint: {}: its metadata must say \"step\": \"{}\"", train.path(), steps),
        train.path());
  }
  Snapshot snapshot{.steps = steps,
                    .world_size = number_in(train, "world_size").value_or(1),
                    .logical_ranks = number_in(train, "logical_ranks").value_or(0),
                    .model = {},
                    .others = {}};
  snapshot.model = safetensors::load(path + "/model.safetensors");
  for (const auto& entry : train.entries()) snapshot.others.push_back({entry.name, train.read(entry)});
  return snapshot;
}

void commit(const std::string& root, const Snapshot& snapshot, const std::vector<std::int64_t>& given_up) {
  const auto path = path_of(root, snapshot.steps);
  for (const auto steps : list(root)) {
    if (steps > snapshot.steps && std::ranges::find(given_up, steps) == given_up.end()) {
      throw CheckpointError(
          fmt::format("checkpoint: {} holds step {}, later than {}: restore it, or use another directory",
                      root, steps, snapshot.steps),
          root);
    }
  }
  remove_hidden(root);
  const auto temporary = hidden(root);
  if (!fs::create_directory(temporary)) throw_system_error("make directory", temporary);
  try {
    safetensors::save(temporary + "/model.safetensors", snapshot.model, {{"format", "pt"}});
    safetensors::save(temporary + "/train.safetensors", snapshot.others,
                      {{"step", std::to_string(snapshot.steps)},
                       {"world_size", std::to_string(snapshot.world_size)},
                       {"logical_ranks", std::to_string(snapshot.logical_ranks)},
                       {"tutti_version", version()}});
    rename_over(temporary, path, root);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
  sync_directory(root);
  remove_hidden(root);
}

void remove(const std::string& root, std::int64_t steps) {
  // Renamed first: a checkpoint that lacks files must not be found under its name.
  const auto path = path_of(root, steps);
  const auto aside = hidden(root);
  std::error_code error;
  fs::rename(path, aside, error);
  if (!error) fs::remove_all(aside, error);
  if (error)
    logging::write(logging::Level::warning,
                   fmt::format("checkpoint: cannot remove {}: {}", path, error.message()));
}

}  // namespace tutti::checkpoint
