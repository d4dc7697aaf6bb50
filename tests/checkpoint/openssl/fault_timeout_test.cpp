// A save in which ranks waited longer for each other than they may.
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/checkpoint/parts.h"
#include "tests/support/files.h"
#include "tests/support/ranks.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using std::chrono::milliseconds;

// Behind a service that is slow at first.
class SlowKey : public RecipientKey {
 public:
  const std::string& id() const override { return id_; }
  std::vector<std::byte> wrap(std::span<const std::byte, data_key_bytes> data_key,
                              std::string_view) const override {
    if (slow_.exchange(false)) std::this_thread::sleep_for(milliseconds(1500 * TEST_SLOWDOWN));
    return {data_key.begin(), data_key.end()};
  }
  void unwrap(std::span<const std::byte> wrapped, std::string_view,
              std::span<std::byte, data_key_bytes> data_key) const override {
    std::ranges::copy(wrapped, data_key.begin());
  }

 private:
  const std::string id_ = "key";
  mutable std::atomic<bool> slow_ = true;
};

TEST(FaultTimeout, Fault60_ASaveThatTookTooLongDoesNotStopTheNext) {
  const test::TemporaryDirectory directory;
  const auto key = std::make_shared<SlowKey>();
  test::on_ranks(2, [&](Communicator& world) {
    const auto patience = milliseconds(500 * TEST_SLOWDOWN);
    world.set_timeout(patience);
    auto model = test::a_model();
    const TrainState state{model};
    Checkpointer checkpoints(directory / "run", world, {.encrypt = Encryption{{key}}, .timeout = patience});
    model.fill(1);
    const Save late = checkpoints.save_now(0, state);
    world.set_timeout(std::chrono::seconds(20));
    EXPECT_THROW(late.wait(), CommError);
    checkpoints.save_now(1, state).wait();
    EXPECT_EQ(checkpoints.restore(state), 2);
    EXPECT_TRUE(model.holds(1));
  });
}

}  // namespace
}  // namespace tutti
