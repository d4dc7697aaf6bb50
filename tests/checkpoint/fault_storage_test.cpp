// Faults 48 to 62 of docs/checkpoint-faults.md, as far as a system has them by itself: disks that are full or refuse, bits
// that flip. tests/faults makes every call fail.
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>

#include "tests/checkpoint/fault_run.h"
#include "tests/support/message_of.h"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;

class FaultStorage : public test::FaultRun {};

// A limit of this process while it lives.
class Limit {
 public:
  Limit(decltype(RLIMIT_FSIZE) what, rlim_t value) : what_(what), handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(what_, &before_);
    const rlimit limit{value, before_.rlim_max};
    ::setrlimit(what_, &limit);
  }
  ~Limit() {
    ::setrlimit(what_, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  decltype(RLIMIT_FSIZE) what_;
  void (*handler_)(int);
  rlimit before_{};
};

// A file system of its own in the directory of the test.
class Mount {
 public:
  Mount(std::string path, const std::string& options)
      : path_(std::move(path)),
        mounted_(::mount("tutti-test", path_.c_str(), "tmpfs", 0, options.c_str()) == 0) {}
  ~Mount() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  bool make_read_only() const {
    return ::mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }

 private:
  std::string path_;
  bool mounted_;
};

TEST_F(FaultStorage, Fault48_ADiskThatIsFullIsToldAndFreeSpaceIsUsedAgain) {
  const Mount disk(directory_.path(), "size=128k");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small tmpfs takes root";
  save(100);
  const auto filler = directory_ / "filler";
  // From nothing left to just too little.
  for (std::size_t free = 0; free < 5; ++free) {
    fs::remove(filler);
    const auto space = fs::space(directory_.path());
    try {
      test::write_file(filler, std::string(space.available - 4096 * free, 'x'));
    } catch (const std::runtime_error&) {  // as full as it gets
    }
    EXPECT_THAT(message_of<CheckpointError>([&] { save(200); }), HasSubstr("No space left on device"))
        << free;
    EXPECT_EQ(restore().steps, 100);
  }
  fs::remove(filler);
  save(200);
  EXPECT_EQ(restore().steps, 200);
  EXPECT_EQ(test::files_in(run_), 3u) << "two checkpoints and the lock";
}

TEST_F(FaultStorage, Fault49_FilesThatMayNotGrow) {
  save(100);
  // In the header, the data, and the manifest, which is the smallest.
  for (const rlim_t bytes : {0, 1, 100, 4096, 4100}) {
    const Limit limit(RLIMIT_FSIZE, bytes);
    EXPECT_THAT(message_of<CheckpointError>([&] { save(200); }), HasSubstr("File too large")) << bytes;
    EXPECT_EQ(restore().steps, 100);
  }
  save(200);
  EXPECT_EQ(restore().steps, 200);
  EXPECT_EQ(test::files_in(run_), 3u);
}

// Loading works where nothing can be written.
TEST_F(FaultStorage, Fault53_AReadOnlyDisk) {
  const Mount disk(directory_.path(), "size=1m");
  if (!disk.mounted()) GTEST_SKIP() << "mounting takes root";
  save(100);
  ASSERT_TRUE(disk.make_read_only());
  EXPECT_THAT(message_of<CheckpointError>([&] { save(200); }), HasSubstr("Read-only file system"));
  const Checkpoint checkpoint(in(100));
  EXPECT_THAT(checkpoint.verify(), IsEmpty());
  Communicator world;
  world.set_logical_ranks(8);
  auto model = test::a_model(), optimizer = test::an_optimizer();
  EXPECT_EQ(checkpoint::load(TrainState{model, optimizer}, in(100), world), 100);
  EXPECT_TRUE(model.holds(100));
}

TEST_F(FaultStorage, Fault53_FilesThatMayNotBeRead) {
  save(100);
  save(200);
  ASSERT_EQ(::chmod(in(200, shard_1).c_str(), 0), 0);
  for (const auto& path : {directory_.path().string(), run_, in(100), in(200)})
    ASSERT_EQ(::chmod(path.c_str(), 0777), 0);
  const uid_t was = ::geteuid();
  if (was == 0 && ::seteuid(65534) != 0) FAIL() << "cannot be somebody else";
  const auto why = reason();
  if (was == 0 && ::seteuid(0) != 0) std::terminate();
  EXPECT_THAT(why, AllOf(HasSubstr(in(200, shard_1)), HasSubstr("Permission denied")));
}

TEST_F(FaultStorage, Fault54_NoMoreDescriptors) {
  save(100);
  const int next = ::dup(0);  // the lowest that is free
  ::close(next);
  bool saved = false;
  for (rlim_t more = 0; !saved; ++more) {
    ASSERT_LT(more, 50u);
    const Limit limit(RLIMIT_NOFILE, static_cast<rlim_t>(next) + more);
    const auto message = message_of<CheckpointError>([&] { save(200); });
    saved = message == "nothing was thrown";
    EXPECT_THAT(message, AnyOf(HasSubstr("nothing was thrown"), HasSubstr("Too many open files"))) << more;
  }
  EXPECT_EQ(restore().steps, 200);
}

// Nothing in a checkpoint can change without being noticed; what is changed is named, and the one before loaded.
TEST_F(FaultStorage, Fault58_AFlippedBitInAnyPlace) {
  save(100);
  save(200);
  std::size_t flips = 0;
  for (const auto* name : {shard_0, shard_1, manifest}) {
    const auto path = in(200, name);
    const auto size = fs::file_size(path);
    const std::size_t stride = size > 4096 ? 37 : 5;  // headers are padded to pages
    for (std::size_t byte = 0; byte < size; byte += byte < 64 || byte + 64 > size ? 1 : stride, ++flips) {
      flip(path, byte);
      std::string found;
      try {
        const auto damages = Checkpoint(in(200)).verify();
        found = damages.empty() ? "" : damages[0].message;
      } catch (const CheckpointError& error) {
        found = error.what();
      }
      EXPECT_THAT(found, HasSubstr(name)) << "byte " << byte;
      if (flips % 50 == 0) {
        EXPECT_THAT(reason(), HasSubstr(name)) << "byte " << byte;
      }
      flip(path, byte);
    }
  }
  EXPECT_GT(flips, 400u);
  EXPECT_EQ(reason(), "");
}

// Training goes on from the checkpoint before, and comes to the step of the damaged one.
TEST_F(FaultStorage, Fault58_TheStepOfADamagedOneIsSavedAnew) {
  save(100);
  save(200);
  flip(in(200, shard_0), fs::file_size(in(200, shard_0)) - 1);
  test::on_ranks(2, [&](Communicator& world) {
    world.set_logical_ranks(8);
    auto model = test::a_model(), optimizer = test::an_optimizer();
    const TrainState state{model, optimizer};
    Checkpointer checkpoints(run_, world, {.keep = 10});
    EXPECT_EQ(checkpoints.restore(state), 100);
    model.fill(7);
    optimizer.fill(7);
    checkpoints.save_now(199, state).wait();
    checkpoints.drain();
  });
  const auto restored = restore(1, 7);
  EXPECT_EQ(restored.steps, 200) << "the new one";
  EXPECT_THAT(restored.passed_over, IsEmpty());
  std::string names;
  for (const auto& entry : fs::directory_iterator(run_)) names += entry.path().filename().string() + " ";
  EXPECT_THAT(names, HasSubstr("damaged-step-0000000200")) << "the old one is put aside";
}

TEST_F(FaultStorage, Fault59_SectorsThatWereNotWritten) {
  save(100);
  save(200);
  for (const auto* name : {shard_0, shard_1, manifest}) {
    const auto path = in(200, name);
    const auto good = test::read_file(path);
    const auto at = [](std::string& text, std::size_t place) {
      return text.begin() + static_cast<std::ptrdiff_t>(place);
    };
    for (const std::size_t sector : {512, 4096}) {
      for (std::size_t begin = 0; begin < good.size(); begin += sector) {
        auto torn = good;
        std::fill(at(torn, begin), at(torn, std::min(begin + sector, good.size())), '\0');
        if (torn == good) continue;
        test::write_file(path, torn);
        EXPECT_THAT(reason(), HasSubstr(name)) << "sector at " << begin;
      }
    }
    for (const std::size_t tail : {std::size_t{1}, good.size() / 2, good.size()}) {
      test::write_file(path, good.substr(0, good.size() - tail) + std::string(tail, '\0'));
      EXPECT_THAT(reason(), HasSubstr(name)) << "the last " << tail;
      test::write_file(path, good.substr(0, good.size() - tail));
      EXPECT_THAT(reason(), HasSubstr(name)) << "without the last " << tail;
    }
    test::write_file(path, good);
  }
  EXPECT_EQ(reason(), "");
}

// Steps count, and no clock.
TEST_F(FaultStorage, Fault61_AClockThatRunsBackwards) {
  save(100);
  save(200);
  const auto now = fs::file_time_type::clock::now();
  fs::last_write_time(in(100), now + std::chrono::hours(24));
  fs::last_write_time(in(200), now - std::chrono::hours(24 * 365 * 30));
  for (const auto* name : {shard_0, shard_1, manifest})
    fs::last_write_time(in(200, name), now - std::chrono::hours(24 * 365 * 30));
  EXPECT_EQ(restore().steps, 200);
}

}  // namespace
}  // namespace tutti
