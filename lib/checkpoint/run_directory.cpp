#include "checkpoint/run_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <exception>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

#include "checkpoint/encrypted_names.h"
#include "checkpoint/manifest.h"
#include "tutti/core/error.h"
#include "tutti/core/logging.h"

namespace tutti::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view step_prefix = "step-";
constexpr std::string_view hidden_prefix = ".step-";
constexpr std::string_view trash_prefix = ".trash-";
constexpr std::string_view damaged_prefix = "damaged-";
constexpr const char* lock_name = ".lock";

// Makes `path`, and first what is missing above it, each lasting in its parent.
void make_directories(fs::path path, const std::string& root) {
  if (path.filename().empty()) path = path.parent_path();  // "run/"
  const auto check = [&](const std::error_code& error) {
    if (error)
      throw CheckpointError(fmt::format("checkpoint: cannot make directory {}: {}", root, error.message()),
                            root);
  };
  std::error_code error;
  const auto type = path.empty() ? fs::file_type::directory : fs::status(path, error).type();
  if (type == fs::file_type::directory) return;
  if (type != fs::file_type::not_found) check(error);
  make_directories(path.parent_path(), root);
  error.clear();
  if (!fs::create_directory(path, error)) check(error);
  Directory(path.parent_path().string()).sync();
}

// A reader holds a lock on the manifest, see open_checkpoint.h.
bool is_read(const Directory& root, const std::string& name) {
  if (!root.has_directory(name)) return false;
  const Directory checkpoint = root.open(name);
  for (const auto& manifest : {std::string(manifest_name), encrypted_name(manifest_name)}) {
    if (!checkpoint.has(manifest)) continue;
    const auto file = checkpoint.open_to_read(manifest);
    if (uninterrupted([&] { return ::flock(file.get(), LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK)
      return true;
  }
  return false;
}

// Where it fails, for want of memory too, the next save does it: the checkpoint is there, and the other ranks know it.
template <typename Removal>
void attempt(const Removal& removal) {
  try {
    removal();
  } catch (const std::exception& error) {
    try {
      logging::write(
          logging::Level::warning,
          fmt::format("checkpoint: what is too old, or of a save that failed, stays: {}", error.what()));
    } catch (const std::bad_alloc&) {  // there is no memory to tell it
    }
  }
}

}  // namespace

std::string step_name(std::int64_t steps) { return fmt::format("{}{:010}", step_prefix, steps); }

std::optional<std::int64_t> steps_in(std::string_view name) {
  if (!name.starts_with(step_prefix)) return std::nullopt;
  name.remove_prefix(step_prefix.size());
  std::int64_t steps = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), steps);
  if (error != std::errc() || end != name.data() + name.size() ||
      step_name(steps) != std::string(step_prefix).append(name))
    return std::nullopt;
  return steps;
}

std::string hidden_name(const std::string& uuid) { return std::string(hidden_prefix) + uuid.substr(0, 16); }

void prepare(const std::string& root) {
  make_directories(root, root);
  if (::faccessat(AT_FDCWD, root.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0)
    throw_system_error("write in directory", root);
}

// While it looks, a saver may publish the next one, behind it, and remove the last one, before it: seeing neither, it would
// take an older one, kept by a reader, for the newest. Hence what two looks agree on.
std::vector<std::int64_t> list(const Directory& root) {
  constexpr int most = 100;
  std::vector<std::int64_t> all;
  bool agreed = false;
  for (int look = 0; look < most && !agreed; ++look) {
    std::vector<std::int64_t> seen;
    bool gone = false;
    for (const auto& name : root.names()) {
      const auto steps = steps_in(name);
      if (!steps) continue;
      if (root.has_directory(name))
        seen.push_back(*steps);
      else
        gone = true;
    }
    std::ranges::sort(seen, std::greater{});
    agreed = look > 0 && !gone && seen == all;
    all = std::move(seen);
  }
  return all;
}

void check_newest(const Directory& root, std::int64_t steps, const std::vector<std::int64_t>& given_up) {
  for (const auto other : list(root)) {
    if (other > steps && std::ranges::find(given_up, other) == given_up.end()) {
      throw CheckpointError(
          fmt::format("checkpoint: {} holds step {}, later than {}: restore it, or use another directory",
                      root.path(), other, steps),
          root.path());
    }
  }
}

SaverLock::SaverLock(const Directory& root)
    : file_(open_at(root.descriptor(), lock_name, O_RDWR | O_CREAT | O_NOFOLLOW)) {
  const auto path = root.path(lock_name);
  if (!file_) throw_system_error("open", path);
  if (uninterrupted([&] { return ::flock(file_.get(), LOCK_EX | LOCK_NB); }) == 0) return;
  if (errno != EWOULDBLOCK) throw_system_error("lock", path);
  throw CheckpointError(fmt::format("checkpoint: another run is saving in {}: one at a time", root.path()),
                        root.path());
}

// Closing would leave it to processes that were forked meanwhile.
SaverLock::~SaverLock() { ::flock(file_.get(), LOCK_UN); }

std::vector<std::string> leftovers(const Directory& root) {
  std::vector<std::string> left;
  for (const auto& name : root.names()) {
    if ((name.starts_with(hidden_prefix) || name.starts_with(trash_prefix)) && !is_read(root, name))
      left.push_back(name);
  }
  return left;
}

void clear_leftovers(const Directory& root) {
  const auto names = leftovers(root);
  // The rename that made a checkpoint a leftover may not have lasted: unlinked files must not be found under its old name.
  if (!names.empty()) root.sync();
  std::exception_ptr failure;
  for (const auto& name : names) {
    try {
      root.remove(name);
    } catch (const CheckpointError&) {
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

bool set_aside(const Directory& root, const std::string& name) {
  if (is_read(root, name)) return false;
  root.rename(name, std::string(trash_prefix) + random_name());
  root.sync();
  return true;
}

void publish(const Directory& root, const std::string& hidden, const std::string& name) {
  if (!root.has(name)) {
    root.rename(hidden, name);
  } else if (!root.exchange(hidden, name)) {
    // Not every file system can exchange: for a moment, this step's checkpoint is not there.
    const auto trash = std::string(trash_prefix) + random_name();
    root.rename(name, trash);
    try {
      root.rename(hidden, name);
    } catch (...) {
      attempt([&] { root.rename(trash, name); });
      throw;
    }
  }
}

void remove_quietly(const Directory& root, const std::string& hidden) {
  attempt([&] { root.remove(hidden); });
}

void put_aside(const Directory& root, std::int64_t steps) {
  const auto name = step_name(steps);
  root.rename(name, fmt::format("{}{}-{}", damaged_prefix, name, random_name()));
}

void retain(const Directory& root, std::int64_t keep, std::int64_t keep_every,
            const std::vector<std::int64_t>& given_up) {
  attempt([&] {
    std::int64_t good = 0;
    std::vector<std::int64_t> old;
    for (const auto steps : list(root)) {
      const bool damaged = std::ranges::find(given_up, steps) != given_up.end();
      if (damaged) {
        attempt([&] { put_aside(root, steps); });
        continue;
      }
      if (good++ < keep || (keep_every > 0 && steps % keep_every == 0)) continue;
      old.push_back(steps);
    }
    // The oldest first: at no time is there one without those that follow it.
    std::ranges::reverse(old);
    for (const auto steps : old) attempt([&] { set_aside(root, step_name(steps)); });
  });
}

void clear_quietly(const Directory& root) {
  attempt([&] { clear_leftovers(root); });
}

}  // namespace tutti::checkpoint
