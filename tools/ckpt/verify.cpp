#include <fmt/format.h>

#include <filesystem>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "ckpt/progress.h"
#include "ckpt/text.h"
#include "tutti/core/error.h"

namespace tutti::ckpt {
namespace {

struct Outcome {
  std::string path;
  std::uint64_t bytes = 0;
  std::vector<Checkpoint::Damage> damage;
};

Outcome look_at(const std::string& path, const Common& common) {
  Outcome outcome{.path = path, .bytes = 0, .damage = {}};
  std::optional<Checkpoint> checkpoint;
  try {
    checkpoint.emplace(open(path, common));
  } catch (const CheckpointError& error) {
    if (is_about_keys(error, path, common)) throw;
    outcome.damage.push_back({.file = std::filesystem::path(error.file()).filename().string(),
                              .message = error.what(),
                              .offset = error.offset(),
                              .tensor = "",
                              .expected = "",
                              .found = ""});
    return outcome;
  }
  outcome.bytes = bytes_of(*checkpoint);
  Progress progress(path, outcome.bytes);
  outcome.damage = checkpoint->verify(progress.report());
  return outcome;
}

nlohmann::ordered_json to_json(const Outcome& outcome) {
  auto places = nlohmann::ordered_json::array();
  for (const auto& damage : outcome.damage) {
    nlohmann::ordered_json place{{"file", damage.file}};
    if (damage.offset >= 0) place["offset"] = damage.offset;
    if (!damage.tensor.empty()) place["tensor"] = damage.tensor;
    if (!damage.expected.empty()) {
      place["expected"] = damage.expected;
      place["found"] = damage.found;
    }
    place["message"] = damage.message;
    places.push_back(place);
  }
  return {{"path", outcome.path},
          {"damaged", !outcome.damage.empty()},
          {"bytes", outcome.bytes},
          {"damage", places}};
}

}  // namespace

int verify(const std::string& given, const Common& common) {
  bool damage = false;
  auto all = nlohmann::ordered_json::array();
  for (const auto& path : checkpoints_at(given)) {
    const auto outcome = look_at(path, common);
    damage |= !outcome.damage.empty();
    if (common.json) {
      all.push_back(to_json(outcome));
      continue;
    }
    fmt::print("{}: {}\n", path,
               outcome.damage.empty()
                   ? fmt::format("good, {}", bytes_text(static_cast<double>(outcome.bytes)))
                   : "DAMAGED");
    for (const auto& place : outcome.damage) fmt::print("  {}\n", place.message);
  }
  if (common.json) print_json({{"checkpoints", all}});
  return damage ? found : success;
}

}  // namespace tutti::ckpt
