// A checkpoint is removed, and a newer one committed, while a loader is about to open it: when it asks for the key.
#include <gmock/gmock.h>

#include <filesystem>
#include <functional>

#include "tests/checkpoint/parts.h"
#include "tests/support/files.h"
#include "tutti/checkpoint/checkpointer.h"

namespace tutti {
namespace {

namespace fs = std::filesystem;

class WatchedKey : public RecipientKey {
 public:
  const std::string& id() const override { return id_; }
  std::vector<std::byte> wrap(std::span<const std::byte, data_key_bytes> data_key,
                              std::string_view) const override {
    return {data_key.begin(), data_key.end()};
  }
  void unwrap(std::span<const std::byte> wrapped, std::string_view,
              std::span<std::byte, data_key_bytes> data_key) const override {
    std::ranges::copy(wrapped, data_key.begin());
    if (on_unwrap) std::exchange(on_unwrap, nullptr)();
  }

  mutable std::function<void()> on_unwrap;

 private:
  const std::string id_ = "key";
};

TEST(FaultRemoved, Fault64_TheNewerOneIsLoaded) {
  const test::TemporaryDirectory directory;
  const auto run = directory / "run", first = run + "/step-0000000001", second = run + "/step-0000000002";
  const auto key = std::make_shared<WatchedKey>();
  Communicator world;
  auto model = test::a_model();
  const TrainState state{model};
  Checkpointer checkpoints(run, world, {.encrypt = Encryption{{key}}});
  model.fill(1);
  checkpoints.save_now(0, state).wait();
  model.fill(2);
  checkpoints.save_now(1, state).wait();
  checkpoints.drain();
  fs::rename(second, directory / "aside");
  key->on_unwrap = [&] {
    fs::rename(directory / "aside", second);
    fs::remove_all(first);
  };
  EXPECT_EQ(checkpoints.restore(state), 2);
  EXPECT_TRUE(model.holds(2));
  EXPECT_THAT(checkpoints.restored().passed_over, testing::IsEmpty()) << "it was not damaged";
}

}  // namespace
}  // namespace tutti
