#include "launch/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace tutti::launch {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const auto& string : strings) result.push_back(const_cast<char*>(string.c_str()));
  result.push_back(nullptr);
  return result;
}

// In the child, between fork and exec: system calls only.
[[noreturn]] void become(const Spawn& spawn, char* const* argv, char* const* envp, pid_t parent,
                         int failure) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  if (spawn.own_group) setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() == parent) {  // else it died before the line above
    const bool ready = dup2(spawn.in, 0) >= 0 && dup2(spawn.out, 1) >= 0 && dup2(spawn.err, 2) >= 0;
    if (ready) execvpe(argv[0], argv, envp);
    const int reason = errno;
    [[maybe_unused]] const auto written = write(failure, &reason, sizeof reason);
  }
  _exit(127);
}

}  // namespace

pid_t spawn(const Spawn& spawn) {
  const auto argv = pointers(spawn.command);
  const auto envp = pointers(spawn.environment);
  int failure[2];  // closed by a successful exec
  if (pipe2(failure, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category());
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) become(spawn, argv.data(), envp.data(), parent, failure[1]);
  int reason = pid < 0 ? errno : 0;
  close(failure[1]);
  ssize_t got = 0;
  if (pid > 0) {
    do got = read(failure[0], &reason, sizeof reason);
    while (got < 0 && errno == EINTR);
    if (got == sizeof reason) waitpid(pid, nullptr, 0);
  }
  close(failure[0]);
  if (reason != 0) throw std::system_error(reason, std::generic_category());
  return pid;
}

}  // namespace tutti::launch
