#include "checkpoint/helper_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& program, std::string_view what) {
  throw CheckpointError(fmt::format("key command: {}: {}", program, what), "");
}

[[noreturn]] void fail_by_system(const std::string& program, std::string_view operation, int error) {
  fail(program, fmt::format("cannot {}: {}", operation, std::generic_category().message(error)));
}

// Both ends above the standard descriptors, which a host may have closed, and closed in other programs.
class Pipe {
 public:
  explicit Pipe(const std::string& program) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) fail_by_system(program, "make a pipe", errno);
    for (std::size_t i = 0; i < 2; ++i) {
      ends_[i] = ends[i] > 2 ? ends[i] : ::fcntl(ends[i], F_DUPFD_CLOEXEC, 3);
      if (ends[i] <= 2) ::close(ends[i]);
    }
    if (ends_[0] < 0 || ends_[1] < 0) fail_by_system(program, "make a pipe", errno);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }

  int reading() const { return ends_[0]; }
  int writing() const { return ends_[1]; }
  void close_end(std::size_t end) {
    if (ends_[end] >= 0) ::close(std::exchange(ends_[end], -1));
  }

 private:
  std::array<int, 2> ends_ = {-1, -1};
};

// A process with a group of its own, which does not outlive the object.
class Process {
 public:
  Process(const std::vector<std::string>& arguments, const std::string& variable, const Pipe& in,
          const Pipe& out, const Pipe& err) {
    std::vector<char*> argv;
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    std::vector<char*> environment{const_cast<char*>(variable.c_str())};
    const auto name = variable.substr(0, variable.find('=') + 1);
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
      if (!std::string_view(*entry).starts_with(name)) environment.push_back(*entry);
    }
    environment.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in.reading(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out.writing(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err.writing(), STDERR_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, usual;  // whatever the host blocks or ignores is not the program's
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGTERM);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const int error = ::posix_spawnp(&pid_, argv[0], &actions, &attributes, argv.data(), environment.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
      pid_ = -1;
      fail_by_system(arguments[0], "start it", error);
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (pid_ < 0) return;
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  // Whether it ended, and then how. -1 stands for a status that the host has taken: it ignores SIGCHLD, or waits for
  // every child.
  bool ended(int& status) {
    const auto got = ::waitpid(pid_, &status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR)) return false;
    if (got < 0) status = -1;
    pid_ = -1;
    return true;
  }

 private:
  pid_t pid_ = -1;
};

std::string last_line(std::string text) {
  const auto end = text.find_last_not_of(" \t\r\n");
  if (end == text.npos) return "it wrote nothing to its standard error";
  text.resize(end + 1);
  return text.substr(text.find_last_of('\n') + 1);
}

void check_exit(const std::string& program, int status, const std::string& errors) {
  if (status == 0) return;
  if (status == -1)
    fail(program, "its exit code went to the host program, which ignores or waits for all children");
  const auto how = WIFEXITED(status) ? fmt::format("exit code {}", WEXITSTATUS(status))
                                     : fmt::format("ended by signal {}", WTERMSIG(status));
  fail(program, fmt::format("{}: {}", how, last_line(errors)));
}

}  // namespace

std::size_t run_helper(const std::vector<std::string>& arguments, const std::string& variable,
                       std::span<const std::byte> input, std::span<std::byte> output,
                       std::chrono::milliseconds timeout) {
  const auto& program = arguments.at(0);
  const auto deadline = Clock::now() + timeout;
  Pipe in(program), out(program), err(program);
  // Written before anybody reads, and with our reading end open: that cannot block, nor raise SIGPIPE.
  if (input.size() > max_helper_bytes)
    fail(program, fmt::format("{} bytes are too much for it", input.size()));
  if (::write(in.writing(), input.data(), input.size()) != static_cast<ssize_t>(input.size())) {
    fail_by_system(program, "write to a pipe", errno);
  }
  in.close_end(1);
  Process process(arguments, variable, in, out, err);
  in.close_end(0);
  out.close_end(1);
  err.close_end(1);

  const auto left = [&] {
    const auto time = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (time <= 0) fail(program, fmt::format("not done after {} ms, and killed", timeout.count()));
    return static_cast<int>(std::min<std::int64_t>(time, 60'000));
  };
  std::size_t answered = 0;
  std::string errors;
  pollfd waits[2] = {{out.reading(), POLLIN, 0}, {err.reading(), POLLIN, 0}};
  while (waits[0].fd >= 0 || waits[1].fd >= 0) {
    if (::poll(waits, 2, left()) < 0 && errno != EINTR) fail_by_system(program, "wait for it", errno);
    if (waits[0].revents != 0) {
      std::byte surplus;
      const bool full = answered == output.size();
      const auto got = full ? ::read(out.reading(), &surplus, 1)
                            : ::read(out.reading(), output.data() + answered, output.size() - answered);
      if (got > 0 && full) fail(program, fmt::format("its answer is longer than {} bytes", output.size()));
      if (got > 0) answered += static_cast<std::size_t>(got);
      if (got == 0) waits[0].fd = -1;
    }
    if (waits[1].revents != 0) {
      std::array<char, 1024> piece;
      const auto got = ::read(err.reading(), piece.data(), piece.size());
      if (got > 0) errors.append(piece.data(), static_cast<std::size_t>(got));
      if (errors.size() > 16 * piece.size()) errors.erase(0, errors.size() - piece.size());
      if (got == 0) waits[1].fd = -1;
    }
    for (auto& wait : waits) wait.revents = 0;
  }
  int status = 0;
  while (!process.ended(status)) {
    left();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  check_exit(program, status, errors);
  return answered;
}

}  // namespace tutti::checkpoint
