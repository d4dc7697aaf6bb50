// What happens while a save is under way. It is held up by a key that wraps when it is told to.
#include <gmock/gmock.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/checkpoint/parts.h"
#include "tests/support/files.h"
#include "tests/support/message_of.h"
#include "tests/support/ranks.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/core/error.h"
#include "tutti/core/logging.h"

namespace tutti {
namespace {

using test::a_model;
using test::an_optimizer;
using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

class Gate : public RecipientKey {
 public:
  const std::string& id() const override { return id_; }
  std::vector<std::byte> wrap(std::span<const std::byte, data_key_bytes> data_key,
                              std::string_view) const override {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(20), [&] { return open_; }))
      throw CheckpointError("nobody opened", "");
    if (broken_) throw CheckpointError("the key service is down", "");
    return {data_key.begin(), data_key.end()};
  }
  void unwrap(std::span<const std::byte> wrapped, std::string_view,
              std::span<std::byte, data_key_bytes> data_key) const override {
    std::ranges::copy(wrapped, data_key.begin());
  }

  void set(bool open, bool broken = false) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    broken_ = broken;
    changed_.notify_all();
  }

 private:
  const std::string id_ = "gate";
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool open_ = false, broken_ = false;
};

class AsyncSave : public testing::Test {
 protected:
  CheckpointerOptions options(WhenBusy when_busy = WhenBusy::wait) const {
    return {.when_busy = when_busy, .encrypt = Encryption{{gate_}}};
  }
  void fill(double value) {
    model_.fill(value);
    optimizer_.fill(value);
  }

  test::TemporaryDirectory directory_;
  std::string run_ = directory_ / "run";
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  Communicator world_;
  test::Part model_ = a_model(500), optimizer_ = an_optimizer();
  TrainState state_{model_, optimizer_};
};

TEST_F(AsyncSave, Fault65_ChangesAfterItReturnedAreNotSaved) {
  Checkpointer checkpoints(run_, world_, options());
  fill(1);
  const Save save = checkpoints.save_now(0, state_);
  EXPECT_FALSE(save.done());
  EXPECT_FALSE(std::filesystem::exists(run_ + "/step-0000000001"));
  fill(2);
  gate_->set(true);
  save.wait();
  EXPECT_TRUE(save.done());
  EXPECT_EQ(checkpoints.restore(state_), 1);
  EXPECT_TRUE(model_.holds(1));
  EXPECT_TRUE(optimizer_.holds(1));
}

TEST_F(AsyncSave, TellsHowFarItIs) {
  Checkpointer checkpoints(run_, world_, options());
  const Save save = checkpoints.save_now(0, state_);
  const auto before = save.progress();
  EXPECT_GT(before.bytes, 500u * (3 * 4 + 8));
  EXPECT_EQ(before.written, 0u);
  EXPECT_GT(before.stall.count(), 0);
  gate_->set(true);
  save.wait();
  const auto after = save.progress();
  EXPECT_EQ(after.written, after.bytes);
  EXPECT_GE(after.elapsed, before.elapsed);
  EXPECT_EQ(after.stall, before.stall);
  EXPECT_EQ(save.progress().elapsed, after.elapsed) << "it is over";
}

TEST_F(AsyncSave, TheNextOneWaits) {
  Checkpointer checkpoints(run_, world_, options(WhenBusy::wait));
  fill(1);
  const Save first = checkpoints.save_now(0, state_);
  fill(2);
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_FALSE(first.done());
    gate_->set(true);
  });
  const Save second = checkpoints.save_now(1, state_);
  EXPECT_TRUE(first.done());
  later.join();
  second.wait();
  EXPECT_EQ(checkpoints.restore(state_), 2);
  EXPECT_TRUE(model_.holds(2));
}

TEST_F(AsyncSave, Fault60_TheNextOneIsLeftOut) {
  Checkpointer checkpoints(run_, world_, options(WhenBusy::skip));
  const Save first = checkpoints.save_now(0, state_);
  for (int step = 1; step < 5; ++step) EXPECT_FALSE(checkpoints.save_now(step, state_));
  gate_->set(true);
  first.wait();
  EXPECT_TRUE(checkpoints.save_now(5, state_));
  EXPECT_EQ(checkpoints.restore(state_), 6);
}

TEST_F(AsyncSave, Fault60_TheNextOneFails) {
  Checkpointer checkpoints(run_, world_, options(WhenBusy::fail));
  const Save first = checkpoints.save_now(0, state_);
  EXPECT_THAT(message_of<CheckpointError>([&] { checkpoints.save_now(1, state_); }),
              AllOf(HasSubstr("step-0000000002 is not saved"), HasSubstr("the save before is not done")));
  gate_->set(true);
  first.wait();
  checkpoints.save_now(1, state_).wait();
}

TEST_F(AsyncSave, IsGivenUp) {
  Checkpointer checkpoints(run_, world_, options());
  gate_->set(true);
  fill(1);
  checkpoints.save_now(0, state_).wait();
  gate_->set(false);
  fill(2);
  const Save save = checkpoints.save_now(1, state_);
  checkpoints.abandon();
  gate_->set(true);
  EXPECT_THAT(message_of<CheckpointError>([&] { save.wait(); }), HasSubstr("the save was abandoned"));
  EXPECT_EQ(test::files_in(run_), 2u) << "step 1 and the lock";
  EXPECT_EQ(checkpoints.restore(state_), 1);
  EXPECT_TRUE(model_.holds(1));
}

TEST_F(AsyncSave, AFailureIsThrownByWhateverComesNext) {
  gate_->set(true, true);
  Checkpointer checkpoints(run_, world_, options());
  const auto failing_save = [&](int step) {
    const Save save = checkpoints.save_now(step, state_);
    while (!save.done()) std::this_thread::yield();
    return save;
  };
  const auto says = HasSubstr("the key service is down");
  failing_save(0);
  EXPECT_THAT(message_of<CheckpointError>([&] { checkpoints.save_now(1, state_); }), says);
  failing_save(1);
  EXPECT_THAT(message_of<CheckpointError>([&] { checkpoints.drain(); }), says);
  checkpoints.drain();  // it was told
  failing_save(2);
  EXPECT_THAT(message_of<CheckpointError>([&] { checkpoints.restore(state_); }), says);
  const Save seen = failing_save(3);
  EXPECT_THAT(message_of<CheckpointError>([&] { seen.wait(); }), says);
  gate_->set(true);
  checkpoints.save_now(4, state_).wait();
  EXPECT_EQ(checkpoints.restore(state_), 5);
}

TEST_F(AsyncSave, Fault66_TheDestructorWaitsAndLogsAFailureThatNobodySaw) {
  std::string log;
  const auto sink = logging::set_sink([&](logging::Level level, std::string_view message) {
    if (level == logging::Level::error) log += message;
  });
  std::thread later;
  {
    Checkpointer checkpoints(run_, world_, options());
    checkpoints.save_now(0, state_);
    later = std::thread([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      gate_->set(true);
    });
  }
  later.join();
  EXPECT_EQ(log, "");
  EXPECT_EQ(Checkpointer(run_, world_, options()).restore(state_), 1);
  gate_->set(true, true);
  Checkpointer(run_, world_, options()).save_now(1, state_);
  logging::set_sink(sink);
  EXPECT_THAT(log, HasSubstr("the key service is down"));
}

TEST_F(AsyncSave, AFailureOnOneRankIsThrownOnAll) {
  gate_->set(true, true);
  std::vector<std::string> messages(3);
  test::on_ranks(3, [&](Communicator& world) {
    auto model = a_model(500);
    const TrainState state{model};
    Checkpointer checkpoints(run_, world, options());
    const Save save = checkpoints.save_now(0, state);
    messages[static_cast<std::size_t>(world.rank())] = message_of<CheckpointError>([&] { save.wait(); });
  });
  EXPECT_THAT(messages, testing::Each(HasSubstr("the key service is down")));
}

}  // namespace
}  // namespace tutti
