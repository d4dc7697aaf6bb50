// Checkpoints to look at with tutti-ckpt.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/files.h"
#include "tests/support/ranks.h"
#include "tests/support/shell.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/tensor/creation.h"

namespace tutti::test {

// Stands in for a model, or an optimizer.
struct Tensors {
  NamedTensors tensors;
  NamedTensors state_dict() const { return tensors; }
  void load_state_dict(const NamedTensors& state) { copy_by_name("tensors", tensors, state); }
};

inline Tensor counting(std::int64_t rows, std::int64_t columns) {
  return arange(rows * columns, {.dtype = DType::f32}).reshape({rows, columns});
}

class Ckpt : public testing::Test {
 protected:
  using Json = nlohmann::json;

  static std::string step(std::int64_t steps) { return fmt::format("step-{:010}", steps); }

  static Tensors model() {
    return {{{"wte.weight", counting(1000, 64)},  // several chunks
             {"fc.bias", tensor<double>({1, -2, 3}, {3})},
             {"mask", tensor<bool>({true, false}, {2})},
             {"half", tensor<float>({1.5f, -2}, {2}).to(DType::bf16)},
             {"scale", tensor<std::int64_t>({7}, {})},
             {"none", zeros({0, 4})}}};
  }
  static Tensors optimizer() { return {{{"exp_avg.wte.weight", counting(1000, 64)}}}; }

  // One checkpoint of `run` after `steps` steps.
  void save(const std::string& run, std::int64_t steps, Tensors model = Ckpt::model(), int ranks = 1,
            std::optional<Encryption> encryption = {}) {
    on_ranks(ranks, [&](Communicator& world) {
      Tensors optimizer = Ckpt::optimizer();
      Checkpointer checkpointer(directory_ / run, world, {.keep = 100, .encrypt = encryption});
      checkpointer.save_now(steps - 1, TrainState{model, optimizer});
      checkpointer.drain();
    });
  }

  std::string at(const std::string& path) const { return directory_ / path; }

  Result ckpt(const std::string& arguments) const {
    return shell(fmt::format("cd {} && {} {}", directory_.path().string(), TUTTI_CKPT, arguments));
  }
  // What --json prints.
  Json json(const std::string& arguments, int code = 0) const {
    const auto result = ckpt(arguments + " --json");
    EXPECT_EQ(result.code, code) << result.out << result.err;
    return Json::parse(result.out);
  }

  // Flips a bit.
  void damage(const std::string& path, std::uint64_t offset) const {
    auto bytes = read_file(at(path));
    ASSERT_LT(offset, bytes.size());
    bytes[offset] ^= 1;
    write_file(at(path), bytes);
  }

  std::vector<std::string> names(const std::string& path) const {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(at(path)))
      all.push_back(entry.path().filename().string());
    std::ranges::sort(all);
    return all;
  }

  TemporaryDirectory directory_;
};

}  // namespace tutti::test
