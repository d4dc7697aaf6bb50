// Faults 63 to 70 of docs/checkpoint-faults.md: processes that save, load and remove at the same time, and those that stop or
// fork in the middle. Ranks that die are in tests/faults.
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <thread>

#include "checkpoint/run_directory.h"
#include "tests/checkpoint/fault_run.h"
#include "tests/support/message_of.h"
#include "tutti/core/threads.h"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using checkpoint::Directory;
using checkpoint::SaverLock;
using test::message_of;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;

// A process that tells numbers, and is ended and waited for.
class Child {
 public:
  explicit Child(const std::function<void(const std::function<void(std::int64_t)>& tell)>& body) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      ::alarm(60 * TEST_SLOWDOWN);
      try {
        body([&](std::int64_t number) {
          if (::write(ends[1], &number, sizeof number) != sizeof number) ::_exit(4);
        });
      } catch (const std::exception& error) {
        const std::string_view what = error.what();
        if (::write(STDERR_FILENO, what.data(), what.size()) < 0) ::_exit(5);
        ::_exit(3);
      }
      ::_exit(0);
    }
    ::close(ends[1]);
    pipe_ = ends[0];
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ > 0) end(SIGKILL);
    ::close(pipe_);
  }

  void stop() const {
    ::kill(pid_, SIGSTOP);
    siginfo_t info{};  // it takes a moment
    ::waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOWAIT);
  }
  void go_on() const { ::kill(pid_, SIGCONT); }
  // The next number; none at the end.
  std::optional<std::int64_t> next() const {
    std::int64_t number = 0;
    if (::read(pipe_, &number, sizeof number) != sizeof number) return std::nullopt;
    return number;
  }
  std::int64_t last() const {
    std::int64_t last = 0;
    while (const auto number = next()) last = *number;
    return last;
  }
  bool running() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
  }
  // Its exit code, or -1 where a signal ended it. It is sent `number` first, if any.
  int end(int number = 0) {
    if (number != 0) ::kill(pid_, number);
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_;
  int pipe_;
};

// One rank of a run of its own.
class OneRank {
 public:
  OneRank(const std::string& run, std::int64_t keep, std::int64_t width = 4)
      : model_(test::a_model(width)),
        checkpoints_((world_.set_logical_ranks(8), run), world_, {.keep = keep}) {}

  // Returns the steps; what is loaded must be of one step.
  std::int64_t restore() {
    fill(-1);
    const auto steps = checkpoints_.restore(state_);
    if (!model_.holds(steps == 0 ? -1 : static_cast<double>(steps)))
      throw std::runtime_error("a mixed checkpoint");
    return steps;
  }
  Save begin_save(std::int64_t steps) {
    fill(static_cast<double>(steps));
    return checkpoints_.save_now(steps - 1, state_);
  }
  void save(std::int64_t steps) { begin_save(steps).wait(); }
  const Restored& restored() const { return checkpoints_.restored(); }

 private:
  void fill(double value) {
    model_.fill(value);
    optimizer_.fill(value);
  }

  Communicator world_;
  test::Part model_, optimizer_ = test::an_optimizer();
  TrainState state_{model_, optimizer_};
  Checkpointer checkpoints_;
};

// A process of one thread: the child of one of many may start none under a thread sanitizer.
class FaultConcurrency : public test::FaultRun {
  const int before_ = num_threads();

 protected:
  FaultConcurrency() { set_num_threads(1); }
  ~FaultConcurrency() override { set_num_threads(before_); }
};

TEST_F(FaultConcurrency, Fault63_ASecondSaverIsRefused) {
  save(100);
  {
    const SaverLock other((Directory(run_)));
    EXPECT_THAT(message_of<CheckpointError>([&] { save(200); }),
                HasSubstr("another run is saving in " + run_));
  }
  EXPECT_EQ(restore().steps, 100);
  save(200);
  EXPECT_EQ(restore().steps, 200);
}

TEST_F(FaultConcurrency, Fault63_TwoSaversLoseNothingThatOneAcknowledged) {
  const auto saver = [&](const std::function<void(std::int64_t)>& tell) {
    OneRank rank(run_, 2);
    for (int round = 0; round < 25; ++round) {
      try {
        const auto steps = rank.restore() + 1;
        rank.save(steps);
        tell(steps);
      } catch (const CheckpointError& error) {
        const std::string_view what = error.what();
        if (what.find("one at a time") == what.npos && what.find("later than") == what.npos) throw;
      }
    }
  };
  Child one(saver), other(saver);
  const auto acknowledged = std::max(one.last(), other.last());
  EXPECT_EQ(one.end(), 0);
  EXPECT_EQ(other.end(), 0);
  EXPECT_GT(acknowledged, 0);
  EXPECT_GE(restore().steps, acknowledged);
}

// Each checkpoint is removed when the next is there, and the loader is never left without.
TEST_F(FaultConcurrency, Fault64_ALoaderBesideASaverThatRemoves) {
  save(1);
  Child saver([&](const auto& tell) {
    OneRank rank(run_, 1);
    for (std::int64_t steps = rank.restore() + 1; steps <= 150; ++steps) rank.save(steps);
    tell(1);
  });
  OneRank loader(run_, 1);
  std::int64_t before = 0;
  int loads = 0;
  for (; saver.running(); ++loads) {
    const auto steps = loader.restore();
    EXPECT_GE(steps, before);
    EXPECT_THAT(loader.restored().passed_over, IsEmpty());
    before = steps;
  }
  EXPECT_EQ(saver.end(), 0);
  EXPECT_GT(loads, 5);
  EXPECT_EQ(loader.restore(), 150);
}

// While one that was kept for a reader, and its newer ones, are removed as the next is published.
TEST_F(FaultConcurrency, Fault64_TheNewestIsNeverAnOlderOne) {
  const auto path = [&](std::int64_t steps) { return run_ + "/" + checkpoint::step_name(steps); };
  fs::create_directories(path(1));
  fs::create_directory(path(2));
  std::atomic<bool> done = false;
  std::jthread saver([&] {
    for (std::int64_t steps = 3; steps <= 5'000; ++steps) {
      fs::create_directory(path(steps));
      if (steps % 2 == 0) continue;
      fs::remove(path(steps - 1));
      std::this_thread::sleep_for(std::chrono::microseconds(50));
      fs::remove(path(steps - 2));
    }
    done = true;
  });
  for (std::int64_t newest = 0; !done;) {
    const auto found = Checkpoint::list(run_);
    ASSERT_FALSE(found.empty());
    const auto steps = checkpoint::steps_in(fs::path(found.front()).filename().string());
    ASSERT_GE(steps, newest);
    newest = *steps;
  }
}

TEST_F(FaultConcurrency, Fault64_WhatIsBeingReadStays) {
  OneRank rank(run_, 1);
  rank.save(100);
  {
    const Checkpoint open(in(100));
    rank.save(200);
    for (const auto& [name, tensor] : open.load())
      EXPECT_EQ(tensor.to(DType::f64).to_vector<double>()[0], 100) << name;
    EXPECT_TRUE(fs::exists(in(100)));
  }
  rank.save(300);
  EXPECT_FALSE(fs::exists(in(100)));
  EXPECT_FALSE(fs::exists(in(200)));
}

TEST_F(FaultConcurrency, Fault66_AProcessThatEndsInTheMiddleLosesThatSaveOnly) {
  constexpr std::int64_t width = 300'000;  // 6 MB, so that there is a middle
  OneRank(run_, 10, width).save(100);
  for (const bool orderly : {false, true}) {
    Child child([&](const auto& tell) {
      auto rank = std::make_unique<OneRank>(run_, 10, width);
      rank->begin_save(200);
      tell(1);
      if (!orderly)
        ::syscall(SYS_exit_group, 0);  // a thread sanitizer looks for threads left behind in _exit
      rank.reset();                    // which waits
    });
    EXPECT_EQ(child.next(), 1);
    EXPECT_EQ(child.end(), 0);
    std::int64_t steps = 0;
    {
      OneRank loader(run_, 10, width);
      steps = loader.restore();
      EXPECT_THAT(steps, orderly ? AnyOf(200, 200) : AnyOf(100, 200));
      loader.save(steps);
    }
    const std::size_t lock = 1;
    EXPECT_EQ(test::files_in(run_), static_cast<std::size_t>(steps) / 100 + lock) << "nothing is left of it";
  }
}

TEST_F(FaultConcurrency, Fault67_AForkedProcessKeepsNoLock) {
  save(100);
  save(200);
  auto lock = std::make_optional<SaverLock>(Directory(run_));
  auto open = std::make_optional<Checkpoint>(in(100));
  Child child([](const auto&) { ::pause(); });  // it has a copy of all descriptors
  lock.reset();
  open.reset();
  OneRank rank(run_, 1);
  rank.save(300);
  EXPECT_FALSE(fs::exists(in(100))) << "nobody reads it any more";
  child.end(SIGKILL);
}

// The copy that a forked process has of a save under way is not the save.
TEST_F(FaultConcurrency, Fault67_AForkInTheMiddleOfASave) {
  for (std::int64_t steps = 1; steps <= 5; ++steps) {
    auto rank = std::make_unique<OneRank>(run_, 2, 100'000);
    const Save save = rank->begin_save(steps);
    Child child([&](const auto&) { rank.reset(); });
    EXPECT_EQ(child.end(), 0);
    save.wait();
    EXPECT_EQ(rank->restore(), steps);
  }
}

// What belongs to a world that was given up goes on for a while, and cannot harm the one that took over.
TEST_F(FaultConcurrency, Fault70_ASaverOfAnEarlierWorldThatWakesUp) {
  Child stale([&](const auto& tell) {
    OneRank rank(run_, 2);
    for (std::int64_t steps = 1;; ++steps) {
      try {
        rank.save(steps);
      } catch (const CheckpointError&) {  // the other world is further
        return;
      }
      tell(steps);
    }
  });
  ASSERT_EQ(stale.next(), 1);
  for (int round = 0; round < 10; ++round) {
    stale.stop();
    std::int64_t at = 0;
    std::string message = message_of<CheckpointError>([&] { at = restore().steps; });
    EXPECT_EQ(message, "nothing was thrown");
    EXPECT_GE(at, 1);
    message = message_of<CheckpointError>([&] { save(at); });  // in its place
    EXPECT_THAT(message, AnyOf(HasSubstr("nothing was thrown"), HasSubstr("one at a time")));
    stale.go_on();
    std::this_thread::sleep_for(std::chrono::milliseconds(7));
  }
  std::string message = "one at a time";
  while (message.find("one at a time") != message.npos)
    message = message_of<CheckpointError>([&] { save(1'000'000); });
  EXPECT_EQ(message, "nothing was thrown");
  EXPECT_EQ(stale.end(), 0) << "it was refused";
  EXPECT_EQ(restore().steps, 1'000'000);
}

}  // namespace
}  // namespace tutti
