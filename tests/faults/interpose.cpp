#include "tests/faults/interpose.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstring>

namespace tutti::test {
namespace {

std::atomic<bool> counting = false;
std::atomic<bool> syncing = true;
std::atomic<bool> exchanging = true;
std::atomic<int> calls = 0;
std::atomic<Fault> fault = Fault::none;
std::atomic<int> place = 0;
std::atomic<bool> for_ever = false;
std::atomic<const char*> met = "";

int error_of(Fault f) {
  switch (f) {
    case Fault::eio:
      return EIO;
    case Fault::enospc:
      return ENOSPC;
    case Fault::edquot:
      return EDQUOT;
    case Fault::eagain:
      return EAGAIN;
    case Fault::eintr:
      return EINTR;
    case Fault::emfile:
      return EMFILE;
    case Fault::erofs:
      return EROFS;
    case Fault::estale:
      return ESTALE;
    case Fault::none:
    case Fault::kill:
    case Fault::stop:
    case Fault::half:
      return 0;
  }
  return 0;
}

// Whether this call, which is counted, is one to fail.
bool is_met(const char* call) {
  if (!counting) return false;
  const int number = ++calls;
  if (number == place) met = call;
  return number == place || (for_ever && number > place);
}

// What a fault does that lets no call return: true where it fails, with errno set. Signals interrupt some only.
bool fails(bool interruptible) {
  if (fault == Fault::eintr && !interruptible) return false;
  if (fault == Fault::kill) {
    ::kill(::getpid(), SIGKILL);
    ::pause();
  }
  if (fault == Fault::stop) ::kill(::getpid(), SIGSTOP);
  errno = error_of(fault);
  return errno != 0;
}

bool strikes(const char* call, bool interruptible = false) { return is_met(call) && fails(interruptible); }

// The same for one that transfers `bytes`, which it may be told to do in part.
bool strikes(const char* call, std::size_t& bytes) {
  if (!is_met(call)) return false;
  // A direct transfer ends with a sector.
  if (fault == Fault::half && bytes > 1) bytes = bytes < 1024 ? bytes / 2 : (bytes / 2 + 511) / 512 * 512;
  return fails(true);
}

}  // namespace

const char* name_of(Fault f) {
  constexpr const char* names[] = {"none",   "kill",  "stop",   "EIO",   "ENOSPC", "EDQUOT",
                                   "EAGAIN", "EINTR", "EMFILE", "EROFS", "ESTALE", "half a transfer"};
  return names[static_cast<int>(f)];
}

std::string reason_of(Fault f) { return std::strerror(error_of(f)); }

void arm(Fault f, int at, bool lasting) {
  fault = f;
  for_ever = lasting;
  place = at;
  calls = 0;
  met = "";
  counting = true;
}

int disarm() {
  counting = false;
  return calls;
}

std::string struck() { return met.load(); }

void set_sync(bool on) { syncing = on; }
void set_exchange(bool on) { exchanging = on; }

}  // namespace tutti::test

using tutti::test::strikes;

// The next definition of the function behind this one: libc's, or a sanitizer's.
#define NEXT(name) reinterpret_cast<decltype(&::name)>(::dlsym(RTLD_NEXT, #name))

extern "C" {

int openat(int directory, const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const auto mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : mode_t{};
  va_end(arguments);
  static const auto next = NEXT(openat);
  return strikes("openat", true) ? -1 : next(directory, path, flags, mode);
}

int open(const char* path, int flags, ...) {
  std::va_list arguments;
  va_start(arguments, flags);
  const auto mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : mode_t{};
  va_end(arguments);
  static const auto next = NEXT(open);
  return strikes("open", true) ? -1 : next(path, flags, mode);
}

// A failed close has closed.
int close(int descriptor) {
  static const auto next = NEXT(close);
  const bool failed = strikes("close", true);
  const int error = errno;
  const int result = next(descriptor);
  if (failed) errno = error;
  return failed ? -1 : result;
}

ssize_t pwrite(int descriptor, const void* data, size_t bytes, off_t offset) {
  static const auto next = NEXT(pwrite);
  return strikes("pwrite", bytes) ? -1 : next(descriptor, data, bytes, offset);
}

ssize_t pread(int descriptor, void* data, size_t bytes, off_t offset) {
  static const auto next = NEXT(pread);
  return strikes("pread", bytes) ? -1 : next(descriptor, data, bytes, offset);
}

int fsync(int descriptor) {
  static const auto next = NEXT(fsync);
  if (strikes("fsync", true)) return -1;
  return tutti::test::syncing ? next(descriptor) : 0;
}

int fallocate(int descriptor, int mode, off_t offset, off_t bytes) {
  static const auto next = NEXT(fallocate);
  return strikes("fallocate", true) ? -1 : next(descriptor, mode, offset, bytes);
}

int ftruncate(int descriptor, off_t bytes) noexcept {
  static const auto next = NEXT(ftruncate);
  return strikes("ftruncate", true) ? -1 : next(descriptor, bytes);
}

int renameat(int from, const char* name, int to, const char* other) noexcept {
  static const auto next = NEXT(renameat);
  return strikes("renameat") ? -1 : next(from, name, to, other);
}

int renameat2(int from, const char* name, int to, const char* other, unsigned flags) noexcept {
  static const auto next = NEXT(renameat2);
  if (!tutti::test::exchanging) return errno = EINVAL, -1;
  return strikes("renameat2") ? -1 : next(from, name, to, other, flags);
}

int mkdirat(int directory, const char* name, mode_t mode) noexcept {
  static const auto next = NEXT(mkdirat);
  return strikes("mkdirat") ? -1 : next(directory, name, mode);
}

int mkdir(const char* name, mode_t mode) noexcept {
  static const auto next = NEXT(mkdir);
  return strikes("mkdir") ? -1 : next(name, mode);
}

int unlinkat(int directory, const char* name, int flags) noexcept {
  static const auto next = NEXT(unlinkat);
  return strikes("unlinkat") ? -1 : next(directory, name, flags);
}

int fstat(int descriptor, struct stat* status) noexcept {
  static const auto next = NEXT(fstat);
  return strikes("fstat") ? -1 : next(descriptor, status);
}

int fstatat(int directory, const char* name, struct stat* status, int flags) noexcept {
  static const auto next = NEXT(fstatat);
  return strikes("fstatat") ? -1 : next(directory, name, status, flags);
}

int stat(const char* name, struct stat* status) noexcept {
  static const auto next = NEXT(stat);
  return strikes("stat") ? -1 : next(name, status);
}

int lstat(const char* name, struct stat* status) noexcept {
  static const auto next = NEXT(lstat);
  return strikes("lstat") ? -1 : next(name, status);
}

int flock(int descriptor, int operation) noexcept {
  static const auto next = NEXT(flock);
  return strikes("flock", true) ? -1 : next(descriptor, operation);
}

int faccessat(int directory, const char* name, int mode, int flags) noexcept {
  static const auto next = NEXT(faccessat);
  return strikes("faccessat") ? -1 : next(directory, name, mode, flags);
}

DIR* fdopendir(int descriptor) {
  static const auto next = NEXT(fdopendir);
  return strikes("fdopendir") ? nullptr : next(descriptor);
}

dirent* readdir(DIR* directory) {
  static const auto next = NEXT(readdir);
  return strikes("readdir") ? nullptr : next(directory);
}

}  // extern "C"
