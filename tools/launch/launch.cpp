#include "launch/launch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>

#include "comm/shm/rendezvous.h"
#include "launch/environment.h"
#include "launch/line_writer.h"
#include "launch/process.h"
#include "launch/supervisor.h"
#include "launch/warden.h"

namespace tutti::launch {
namespace {

// The streams of one rank. Those that were opened for it are closed here once the rank has its copies.
class Streams {
 public:
  Streams(const Options& options, int rank, Supervisor& supervisor) {
    if (rank > 0) in = open_or_throw("/dev/null", O_RDONLY);
    if (options.output) {
      const auto path = *options.output / fmt::format("rank-{}.log", rank);
      out = err = open_or_throw(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
      return;
    }
    const bool tagged = options.tag == Tag::all || (options.tag == Tag::others && rank > 0);
    for (int* stream : {&out, &err}) {
      // An untagged rank keeps the terminal, so that its progress bar works.
      const bool untouched = options.ranks == 1 || options.tag == Tag::none || (!tagged && isatty(*stream));
      if (untouched) continue;
      int ends[2];
      if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
      const bool shared = options.tag == Tag::others && isatty(*stream);
      supervisor.add_stream(ends[0], LineWriter(*stream, tagged ? fmt::format("[{}] ", rank) : "", shared));
      opened_.push_back(*stream = ends[1]);
    }
  }
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;
  ~Streams() {
    for (int fd : opened_) close(fd);
  }

  int in = STDIN_FILENO;
  int out = STDOUT_FILENO;
  int err = STDERR_FILENO;

 private:
  int open_or_throw(const char* path, int flags) {
    const int fd = open(path, flags | O_CLOEXEC, 0666);
    if (fd < 0) throw std::system_error(errno, std::generic_category(), path);
    opened_.push_back(fd);
    return fd;
  }

  std::vector<int> opened_;
};

// So that no file that is opened later gets the number of a standard stream that this process was started
// without.
void open_standard_streams() {
  int fd = 0;
  while (fd <= STDERR_FILENO && (fd = open("/dev/null", O_RDWR)) >= 0) {
  }
  if (fd > STDERR_FILENO) close(fd);
}

}  // namespace

int run(const Options& options) {
  open_standard_streams();
  // Ranks that were killed while they waited for each other leave the name of their memory behind.
  const std::shared_ptr<void> clean(nullptr, [](void*) { comm::Rendezvous::remove_stale(); });
  Supervisor supervisor(options);
  Warden warden;
  const auto give_up = [&](const std::string& what, const char* reason, int code) {
    write_all(STDERR_FILENO, fmt::format("{}: {}: {}\n", options.name, what, reason));
    supervisor.end_all();
    supervisor.run();
    return code;
  };
  try {
    if (options.output) std::filesystem::create_directories(*options.output);
  } catch (const std::filesystem::filesystem_error& error) {
    return give_up("cannot make " + options.output->string(), error.code().message().c_str(), 1);
  }
  const auto job = make_job();
  for (int rank = 0; rank < options.ranks; ++rank) {
    try {
      const Streams streams(options, rank, supervisor);
      // Only the terminal's foreground group may read from it.
      const bool own_group = rank > 0 || !isatty(STDIN_FILENO);
      try {
        const auto environment = rank_environment(rank, options.ranks, job);
        const pid_t pid =
            spawn({options.command, environment, streams.in, streams.out, streams.err, own_group});
        supervisor.add_rank(pid, own_group);
        if (own_group) warden.watch(pid);
      } catch (const std::system_error& error) {
        const int code = error.code() == std::errc::no_such_file_or_directory ? 127 : 126;
        return give_up("cannot run " + options.command.front(), error.code().message().c_str(), code);
      }
    } catch (const std::system_error& error) {
      return give_up("cannot start rank " + std::to_string(rank), error.what(), 1);
    }
  }
  return supervisor.run();
}

}  // namespace tutti::launch
