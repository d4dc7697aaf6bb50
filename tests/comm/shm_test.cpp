// What only processes that share memory can show.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "lib/comm/shm/shm.h"
#include "lib/comm/shm/shm_file.h"
#include "processes.h"
#include "tests/support/message_of.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Runs `body` in a process of its own and returns what it returns.
std::string in_a_process(const std::function<std::string()>& body) {
  Processes one(1, [&](Communicator&) { return body(); });
  return one.report(0);
}

TEST(Shm, AllocatedMemoryIsReusedAndGivenBack) {
  EXPECT_EQ("fine", in_a_process([] {
              Communicator comm(comm::make_shm_backend("reuse", 0, 1, 1s));
              constexpr std::size_t bytes = 10 << 20;
              auto first = comm.allocate(bytes);
              auto second = comm.allocate(bytes);
              std::fill_n(static_cast<char*>(first.get()), bytes, 'a');
              std::fill_n(static_cast<char*>(second.get()), bytes, 'b');
              if (static_cast<char*>(first.get())[bytes - 1] != 'a') return "they overlap";
              const void* place = first.get();
              first.reset();
              auto third = comm.allocate(bytes);
              if (third.get() != place) return "not reused";
              if (static_cast<char*>(third.get())[0] != 0) return "not given back to the system";
              // Memory outlives the communicator.
              comm = Communicator();
              static_cast<char*>(third.get())[0] = 'c';
              return static_cast<char*>(second.get())[0] == 'b' ? "fine" : "lost";
            }));
}

TEST(Shm, MoreThanThereIsCannotBeAllocated) {
  EXPECT_THAT(in_a_process([] {
                Communicator comm(comm::make_shm_backend("huge", 0, 1, 1s));
                return message_of([&] { comm.allocate(std::size_t{1} << 50); }) + "|" +
                       message_of([&] { comm.allocate(~std::size_t{0}); });
              }),
              HasSubstr("allocate: there are no 1125899906842624 bytes left, only "));
}

TEST(Shm, ASmallDeviceIsNoLimit) {
  const auto text = in_a_process([]() -> std::string {
    const auto write = [](const char* path, const std::string& text) {
      return static_cast<bool>(std::ofstream(path) << text << std::flush);
    };
    const auto user = fmt::format("0 {} 1", ::geteuid()), group = fmt::format("0 {} 1", ::getegid());
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 || !write("/proc/self/setgroups", "deny") ||
        !write("/proc/self/uid_map", user) || !write("/proc/self/gid_map", group) ||
        ::mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=64k,mode=1777") != 0) {
      return "skip";
    }
    return message_of([] {
      Communicator comm(comm::make_shm_backend("small", 0, 1, 1s));
      comm.allocate(10 << 20);
    });
  });
  if (text == "skip") GTEST_SKIP() << "mounting is not permitted here";
  EXPECT_EQ(text, "nothing was thrown");
}

TEST(Shm, CannotBeCutOffUnderItsUsers) {
  auto file = comm::ShmFile::create(1 << 20, 1 << 12);
  EXPECT_EQ(::truncate(file.path().c_str(), 0), -1);
  EXPECT_EQ(file.bytes(), std::size_t{1} << 20);
}

TEST(Shm, IsOutOfReachOfOtherUsers) {
  const auto text = in_a_process([]() -> std::string {
    const auto file = comm::ShmFile::create(1 << 20, 1 << 12);
    const std::string path = file.path();
    const pid_t child = ::fork();
    if (child == 0) {
      constexpr uid_t nobody = 65534;
      if (::setresgid(nobody, nobody, nobody) != 0 || ::setresuid(nobody, nobody, nobody) != 0) ::_exit(2);
      ::_exit(::open(path.c_str(), O_RDWR) < 0 && errno == EACCES ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? std::to_string(WEXITSTATUS(status)) : "killed";
  });
  if (text == "2") GTEST_SKIP() << "this user cannot become another one";
  EXPECT_EQ(text, "0");
}

TEST(Shm, WhatAKilledJobLeftIsTakenOver) {
  const std::string path = "/dev/shm/tutti-test-stale";
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/proc/999999999/fd/3", path);
  EXPECT_EQ("fine", in_a_process([] {
              Communicator comm(comm::make_shm_backend("test-stale", 0, 1, 1s));
              return "fine";
            }));
  EXPECT_FALSE(std::filesystem::is_symlink(path));
}

TEST(Shm, ANameInUseIsRefused) {
  Processes running(
      2, {0}, [](Communicator&) { return ""; }, 2s);
  // Its rank 0 waits for rank 1 under the name test-<pid>-<n>; a second rank 0 must not take that.
  std::vector<std::string> names;
  for (int i = 0; names.empty() && i < 200; ++i) {
    ::usleep(10'000);
    names = left_in_shm();
  }
  ASSERT_EQ(names.size(), 1u);
  const std::string job = names[0].substr(std::string("tutti-").size());
  EXPECT_THAT(message_of([&] { comm::make_shm_backend(job, 0, 2, 1s); }),
              HasSubstr("belongs to a running job"));
  EXPECT_THAT(message_of([&] { comm::make_shm_backend(job, 1, 3, 1s); }),
              HasSubstr("rank 1 was told that its job has 3 ranks, rank 0 was told 2"));
  EXPECT_EQ(running.report(0), "TimeoutError rank=1 join #0: rank 1 has not arrived within 2000 ms");
  EXPECT_THAT(left_in_shm(), IsEmpty());
}

TEST(Shm, ArgumentsThatCannotBe) {
  EXPECT_THAT(message_of([] { comm::make_shm_backend("a", 2, 2, 1s); }),
              HasSubstr("the rank must be in [0, 2), it is 2"));
  EXPECT_THAT(message_of([] { comm::make_shm_backend("a", 0, 0, 1s); }), HasSubstr("1 to 512 ranks, not 0"));
  EXPECT_THAT(message_of([] { comm::make_shm_backend("a/b", 0, 1, 1s); }), HasSubstr("no '/'"));
}

}  // namespace
}  // namespace tutti::test
