// A run whose checkpoints are damaged in some way, and then restored.
#pragma once

#include <gmock/gmock.h>

#include <fstream>
#include <string>

#include "checkpoint/checksum.h"
#include "tests/checkpoint/parts.h"
#include "tests/support/files.h"
#include "tests/support/ranks.h"
#include "tutti/checkpoint/checkpoint.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/core/error.h"
#include "tutti/core/logging.h"

namespace tutti::test {

class FaultRun : public ::testing::Test {
 protected:
  static constexpr const char* shard_0 = "shard-00000-of-00002.safetensors";
  static constexpr const char* shard_1 = "shard-00001-of-00002.safetensors";
  static constexpr const char* manifest = "manifest.json";

  // Warnings are expected here.
  void SetUp() override {
    sink_ = logging::set_sink([](logging::Level, std::string_view) {});
  }
  void TearDown() override { logging::set_sink(sink_); }

  // Holding `value` everywhere; the number of steps where none is given.
  void save(std::int64_t steps, double value = -1, int ranks = 2) const {
    on_ranks(ranks, [&](Communicator& world) {
      world.set_logical_ranks(8);
      auto model = a_model(), optimizer = an_optimizer();
      model.fill(value < 0 ? static_cast<double>(steps) : value);
      optimizer.fill(value < 0 ? static_cast<double>(steps) : value);
      Checkpointer(run_, world, {.keep = 10}).save_now(steps - 1, TrainState{model, optimizer}).wait();
    });
  }

  // Restores on `ranks`, each of which must hold what was saved, `value`. Throws CheckpointError; the state is untouched
  // then.
  Restored restore(int ranks = 1, double value = -1) const {
    Restored restored;
    on_ranks(ranks, [&](Communicator& world) {
      world.set_logical_ranks(8);
      auto model = a_model(), optimizer = an_optimizer();
      model.fill(-1);
      optimizer.fill(-1);
      const auto holds = [&](double expected) { return model.holds(expected) && optimizer.holds(expected); };
      Checkpointer checkpoints(run_, world);
      try {
        const auto steps = checkpoints.restore(TrainState{model, optimizer});
        EXPECT_TRUE(holds(steps == 0 ? -1 : value < 0 ? static_cast<double>(steps) : value));
      } catch (const CheckpointError&) {
        EXPECT_TRUE(holds(-1)) << "touched, and then refused";
        throw;
      }
      if (world.rank() == 0) restored = checkpoints.restored();
    });
    return restored;
  }

  // Why the checkpoint of step 200 was passed over for that of step 100; "" where it was not.
  std::string reason() const {
    const auto restored = restore();
    if (restored.passed_over.empty()) return "";
    EXPECT_EQ(restored.steps, 100);
    EXPECT_EQ(restored.passed_over.size(), 1u);
    EXPECT_EQ(restored.passed_over[0].path, in(200));
    return restored.passed_over[0].reason;
  }

  std::string in(std::int64_t steps, const std::string& file = "") const {
    const auto digits = std::to_string(steps);
    const auto path = run_ + "/step-" + std::string(10 - digits.size(), '0') + digits;
    return file.empty() ? path : path + "/" + file;
  }

  // The manifest of step 200 with something else in it, and a digest that is right.
  void change_manifest(std::string_view what, std::string_view with) const {
    auto text = read_file(in(200, manifest));
    const auto at = text.find(what);
    ASSERT_NE(at, text.npos) << what << " is not in " << text;
    text.replace(at, what.size(), with);
    text.resize(text.rfind(",\n\"digest\""));
    write_file(in(200, manifest), text + ",\n\"digest\":\"" + checkpoint::digest(text) + "\"}\n");
  }

  // Flips the lowest bit of one byte.
  static void flip(const std::string& path, std::size_t byte) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(byte));
    const int was = file.get();
    file.seekp(static_cast<std::streamoff>(byte));
    file.put(static_cast<char>(was ^ 1));
    if (!file.flush()) throw std::runtime_error("cannot change " + path);
  }

  TemporaryDirectory directory_;
  std::string run_ = directory_ / "run";

 private:
  logging::Sink sink_;
};

}  // namespace tutti::test
