#include "comm/shm/rendezvous.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <regex>

#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

namespace fs = std::filesystem;

constexpr auto directory = "/dev/shm";
constexpr auto prefix = "tutti-";

// Where a link leads; empty for what is none.
std::string target_of(const fs::path& path) {
  std::error_code error;
  return fs::read_symlink(path, error).string();
}

bool belongs_to_running_job(const std::string& path) {
  const auto file = ShmFile::open(path);
  return file && file->is_locked_by_another(0);
}

}  // namespace

Rendezvous::Rendezvous(const std::string& job) : path_(fmt::format("{}/{}{}", directory, prefix, job)) {}

void Rendezvous::publish(const ShmFile& file) {
  target_ = file.path();
  int result = ::symlink(target_.c_str(), path_.c_str());
  if (result != 0 && errno == EEXIST) {
    if (belongs_to_running_job(path_))
      throw ConfigError(fmt::format("shm: {} belongs to a running job", path_));
    // Left by a job that was killed while its ranks arrived.
    ::unlink(path_.c_str());
    result = ::symlink(target_.c_str(), path_.c_str());
  }
  if (result != 0) throw ConfigError(fmt::format("shm: cannot create {}: {}", path_, std::strerror(errno)));
  ours_ = true;
}

std::optional<ShmFile> Rendezvous::find() {
  target_ = target_of(path_);
  auto file = ShmFile::open(path_);
  // Else left by a rank 0 that was killed; the next one takes the name over.
  if (file && !file->is_locked_by_another(0)) file.reset();
  return file;
}

void Rendezvous::withdraw() noexcept {
  if (ours_ && target_of(path_) == target_) ::unlink(path_.c_str());
  ours_ = false;
}

void Rendezvous::inherit(const ShmFile& file) { ours_ = ours_ || !file.is_locked_by_another(0); }

void Rendezvous::remove_stale() noexcept try {
  // Others may have files that are named like ours.
  static const std::regex descriptor("/proc/[0-9]+/fd/[0-9]+");
  for (const auto& entry : fs::directory_iterator(directory)) {
    const auto& path = entry.path();
    try {
      if (!path.filename().string().starts_with(prefix) || !std::regex_match(target_of(path), descriptor))
        continue;
      if (!belongs_to_running_job(path)) ::unlink(path.c_str());
    } catch (const std::exception&) {  // what cannot be looked at is another user's
    }
  }
} catch (const std::exception&) {  // nor is this the place to fail
}

}  // namespace tutti::comm
