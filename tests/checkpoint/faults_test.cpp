// Disks that are full, directories that refuse, processes that die: the old file stays, and nothing is left
// behind.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <thread>

#include "tests/checkpoint/parts.h"
#include "tests/support/files.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/comm/communicator.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string message_naming_a_file(const std::function<void()>& f) {
  try {
    f();
  } catch (const CheckpointError& error) {
    EXPECT_FALSE(error.file().empty());
    return error.what();
  }
  return "nothing was thrown";
}

// No file may grow beyond `bytes` while this lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

// Root may write anywhere; nobody may not.
class WithoutPrivileges {
 public:
  WithoutPrivileges() : was_(::geteuid()) {
    if (was_ == 0 && ::seteuid(65534) != 0) throw std::runtime_error("seteuid");
  }
  ~WithoutPrivileges() {
    if (::geteuid() != was_ && ::seteuid(was_) != 0) std::terminate();
  }

 private:
  uid_t was_;
};

TEST(SaveFaults, AFileThatMayNotGrowLeavesTheOldOne) {
  test::TemporaryDirectory directory;
  safetensors::save(directory / "x", {{"a", full({4}, 1)}});
  const auto before = test::read_file(directory / "x");
  {
    // In the header, inside the data, at the last byte.
    for (const rlim_t limit : {0, 7, 50, 1000, 40'071}) {
      const FileSizeLimit limited(limit);
      EXPECT_THAT(message_naming_a_file([&] {
                    safetensors::save(directory / "x", {{"a", zeros({10'000})}});
                  }),
                  AllOf(HasSubstr("cannot write " + (directory / "x")), HasSubstr("File too large")))
          << limit;
    }
  }
  EXPECT_TRUE(test::read_file(directory / "x") == before);
  EXPECT_EQ(test::files_in(directory.path()), 1u);
}

TEST(SaveFaults, AFullDiskLeavesTheOldFile) {
  test::TemporaryDirectory directory;
  if (::mount("tutti-test", directory.path().c_str(), "tmpfs", 0, "size=256k") != 0) {
    GTEST_SKIP() << "mounting a small tmpfs takes root";
  }
  const std::shared_ptr<void> unmount(nullptr, [&](void*) { ::umount(directory.path().c_str()); });

  safetensors::save(directory / "x", {{"a", full({4}, 1)}});
  EXPECT_THAT(message_naming_a_file([&] {
                safetensors::save(directory / "x", {{"a", zeros({100'000})}});
              }),
              HasSubstr("No space left on device"));
  EXPECT_EQ(safetensors::load(directory / "x")[0].tensor.to_vector<float>(),
            (std::vector<float>{1, 1, 1, 1}));
  EXPECT_EQ(test::files_in(directory.path()), 1u);
}

TEST(SaveFaults, ADirectoryThatRefusesIsNamed) {
  test::TemporaryDirectory directory;
  ASSERT_EQ(::chmod(directory.path().c_str(), 0555), 0);
  const WithoutPrivileges nobody;
  EXPECT_THAT(message_naming_a_file([&] { safetensors::save(directory / "x", {}); }),
              AllOf(HasSubstr(directory / "x"), HasSubstr("Permission denied")));
  Communicator world;
  EXPECT_THAT(message_naming_a_file([&] { Checkpointer(directory.path().string(), world); }),
              AllOf(HasSubstr(directory.path().string()), HasSubstr("Permission denied")));
  EXPECT_THAT(message_naming_a_file([&] { Checkpointer(directory / "run", world); }),
              HasSubstr("Permission denied"));
}

TEST(SaveFaults, APathThatCannotBeAFileLeavesNothing) {
  test::TemporaryDirectory directory;
  std::filesystem::create_directory(directory / "taken");
  EXPECT_THAT(message_naming_a_file([&] { safetensors::save(directory / "taken", {}); }),
              HasSubstr("Is a directory"));
  EXPECT_THAT(message_naming_a_file([&] { safetensors::save(directory / "none/x", {}); }),
              HasSubstr("No such file or directory"));
  EXPECT_EQ(test::files_in(directory.path()), 1u);
  test::write_file(directory / "file", "");
  Communicator world;
  EXPECT_THAT(message_naming_a_file([&] { Checkpointer(directory / "file", world); }), HasSubstr("cannot"));
}

TEST(SaveFaults, ACheckpointThatDoesNotFitLeavesTheOlderOnes) {
  test::TemporaryDirectory directory;
  Communicator world;
  Checkpointer checkpoints(directory / "run", world, {.keep = 1});
  auto model = test::a_model(1000), optimizer = test::an_optimizer();
  const TrainState state{model, optimizer};
  model.fill(1);
  checkpoints.save_now(0, state).wait();
  model.fill(2);
  {
    const FileSizeLimit limited(4000);
    EXPECT_THAT(message_naming_a_file([&] { checkpoints.save_now(1, state).wait(); }),
                HasSubstr("File too large"));
  }
  EXPECT_EQ(test::files_in(directory / "run"), 2u) << "step 1 and the lock";
  EXPECT_EQ(checkpoints.restore(state), 1);
  EXPECT_TRUE(model.holds(1));
  model.fill(3);
  checkpoints.save_now(1, state).wait();  // there is room again
  EXPECT_EQ(checkpoints.restore(state), 2);
  EXPECT_TRUE(model.holds(3));
}

// A process that saves one step after the other, and tells each that was acknowledged.
[[noreturn]] void save_for_ever(const std::string& run, int acknowledge) {
  Communicator world;
  Checkpointer checkpoints(run, world, {.every_steps = 1, .keep = 2});
  auto model = test::a_model(2000), optimizer = test::an_optimizer();
  const TrainState state{model, optimizer};
  for (std::int64_t step = checkpoints.restore(state);; ++step) {
    model.fill(static_cast<double>(step));
    optimizer.fill(static_cast<double>(step));
    checkpoints.save(step, state).wait();
    if (::write(acknowledge, &step, sizeof step) != sizeof step) ::_exit(1);
  }
}

TEST(SaveFaults, KilledAtAnyMomentItLosesNothingAcknowledged) {
  test::TemporaryDirectory directory;
  Communicator world;
  auto model = test::a_model(2000), optimizer = test::an_optimizer();
  const TrainState state{model, optimizer};
  std::int64_t acknowledged = -1;
  for (int round = 0; round < 30; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        save_for_ever(directory / "run", pipe[1]);
      } catch (...) {
        ::_exit(2);
      }
    }
    ::close(pipe[1]);
    std::int64_t step = 0;
    ASSERT_EQ(::read(pipe[0], &step, sizeof step), static_cast<ssize_t>(sizeof step))
        << "the child has not saved";
    std::this_thread::sleep_for(std::chrono::microseconds(round * 397));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    do acknowledged = std::max(acknowledged, step);
    while (::read(pipe[0], &step, sizeof step) == static_cast<ssize_t>(sizeof step));
    ::close(pipe[0]);

    const auto next = Checkpointer(directory / "run", world).restore(state);
    ASSERT_GE(next, acknowledged + 1);
    ASSERT_LE(next, acknowledged + 2);
    EXPECT_TRUE(model.holds(static_cast<double>(next - 1))) << "a mixed checkpoint";
    EXPECT_TRUE(optimizer.holds(static_cast<double>(next - 1)));
  }
}

}  // namespace
}  // namespace tutti
