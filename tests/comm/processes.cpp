#include "processes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <numeric>

#include "lib/comm/shm/shm.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

std::string run(const std::string& job, int rank, int size, const Processes::Body& body,
                std::chrono::milliseconds join_timeout) {
  try {
    Communicator comm(comm::make_shm_backend(job, rank, size, join_timeout));
    return body(comm);
  } catch (const TimeoutError& error) {
    return fmt::format("TimeoutError rank={} {}", error.rank(), error.what());
  } catch (const CommError& error) {
    return fmt::format("CommError rank={} {}", error.rank(), error.what());
  } catch (const std::exception& error) {
    return error.what();
  }
}

std::vector<int> all_of(int size) {
  std::vector<int> ranks(static_cast<std::size_t>(size));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

}  // namespace

Processes::Processes(int size, Body body, std::chrono::milliseconds join_timeout)
    : Processes(size, all_of(size), std::move(body), join_timeout) {}

Processes::Processes(int size, const std::vector<int>& ranks, Body body,
                     std::chrono::milliseconds join_timeout)
    : children_(static_cast<std::size_t>(size)) {
  static std::atomic<int> counter = 0;
  job_ = fmt::format("test-{}-{}", ::getpid(), ++counter);
  for (const int rank : ranks) start(rank, size, body, join_timeout);
}

void Processes::start(int rank, int size, const Body& body, std::chrono::milliseconds join_timeout) {
  Child& child = children_[static_cast<std::size_t>(rank)];
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  child.pid = ::fork();
  if (child.pid == 0) {
    ::alarm(100 * TEST_SLOWDOWN);  // no orphan outlives a test
    const std::string text = run(job_, rank, size, body, join_timeout);
    const bool written = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::_exit(written ? 0 : 1);
  }
  ::close(ends[1]);
  child.pipe = ends[0];
}

void Processes::signal(int rank, int number) const {
  if (pid(rank) > 0) ::kill(pid(rank), number);
}

std::string Processes::report(int rank, std::chrono::milliseconds timeout) {
  Child& child = children_[static_cast<std::size_t>(rank)];
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!child.ended) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{child.pipe, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0) return "still running";
    char buffer[4096];
    const auto length = ::read(child.pipe, buffer, sizeof(buffer));
    if (length <= 0)
      child.ended = true;
    else
      child.text.append(buffer, static_cast<std::size_t>(length));
  }
  return child.text;
}

std::vector<std::string> Processes::reports() {
  std::vector<std::string> texts;
  for (int rank = 0; rank < static_cast<int>(children_.size()); ++rank) {
    if (pid(rank) > 0) texts.push_back(report(rank));
  }
  return texts;
}

Processes::~Processes() {
  for (const Child& child : children_) {
    if (child.pid <= 0) continue;
    ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    ::close(child.pipe);
  }
}

std::vector<std::string> left_in_shm() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    const auto name = entry.path().filename().string();
    if (name.rfind(fmt::format("tutti-test-{}-", ::getpid()), 0) == 0) names.push_back(name);
  }
  return names;
}

}  // namespace tutti::test
