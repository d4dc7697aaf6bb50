#include "launch/warden.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

namespace tutti::launch {
namespace {

constexpr pid_t dismissed = 0;

// Groups come through `pipe`, whose end is the end of the process that this one was forked from.
[[noreturn]] void stand_by(int pipe) {
  setsid();  // so that the terminal's signals do not reach it
  std::vector<pid_t> groups;
  pid_t group = 0;
  while (read(pipe, &group, sizeof group) == sizeof group) {
    if (group == dismissed) _exit(0);
    groups.push_back(group);
  }
  for (const pid_t left : groups) kill(-left, SIGKILL);
  _exit(0);
}

}  // namespace

Warden::Warden() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  pid_ = fork();
  if (pid_ == 0) {
    close(ends[1]);
    stand_by(ends[0]);
  }
  close(ends[0]);
  pipe_ = ends[1];
}

Warden::~Warden() {
  watch(dismissed);
  close(pipe_);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

void Warden::watch(pid_t group) {
  // Should it be gone, there is nobody to tell.
  [[maybe_unused]] const auto written = write(pipe_, &group, sizeof group);
}

}  // namespace tutti::launch
