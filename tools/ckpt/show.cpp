#include <fmt/format.h>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "ckpt/text.h"

namespace tutti::ckpt {
namespace {

nlohmann::ordered_json to_json(const Checkpoint& checkpoint) {
  auto files = nlohmann::ordered_json::array(), tensors = files;
  for (const auto& file : checkpoint.files()) files.push_back({{"name", file.name}, {"bytes", file.bytes}});
  for (const auto& tensor : checkpoint.tensors()) {
    tensors.push_back({{"name", tensor.name},
                       {"dtype", name_of(tensor.dtype)},
                       {"shape", ckpt::to_json(tensor.shape)},
                       {"bytes", tensor.bytes},
                       {"files", tensor.files}});
  }
  return {{"path", checkpoint.path()},
          {"steps", checkpoint.steps()},
          {"world_size", checkpoint.world_size()},
          {"logical_ranks", checkpoint.logical_ranks()},
          {"uuid", checkpoint.uuid()},
          {"digest", checkpoint.digest()},
          {"tutti", checkpoint.tutti_version()},
          {"encrypted", checkpoint.encrypted()},
          {"bytes", bytes_of(checkpoint)},
          {"files", files},
          {"tensors", tensors}};
}

void print(const Checkpoint& checkpoint) {
  std::vector<Row> rows{{"steps", std::to_string(checkpoint.steps())},
                        {"world size", std::to_string(checkpoint.world_size())},
                        {"logical ranks", std::to_string(checkpoint.logical_ranks())},
                        {"uuid", checkpoint.uuid()},
                        {"digest", checkpoint.digest()},
                        {"written by", "Tutti " + checkpoint.tutti_version()},
                        {"encrypted", checkpoint.encrypted() ? "yes" : "no"}};
  for (const auto& row : rows) fmt::print("{:<14} {}\n", row[0], row[1]);
  rows = {{"file", "bytes"}};
  for (const auto& file : checkpoint.files()) rows.push_back({file.name, std::to_string(file.bytes)});
  fmt::print("\n");
  print_table(rows);
  rows = {{"tensor", "dtype", "shape", "bytes", "files"}};
  for (const auto& tensor : checkpoint.tensors()) {
    rows.push_back({tensor.name, std::string(name_of(tensor.dtype)), tensor.shape.str(),
                    std::to_string(tensor.bytes), std::to_string(tensor.files)});
  }
  fmt::print("\n");
  print_table(rows);
}

}  // namespace

int show(const std::string& path, bool with_fingerprint, const Common& common) {
  const auto checkpoint = open(path, common);
  const auto fingerprint = with_fingerprint ? checkpoint.fingerprint() : "";
  if (common.json) {
    auto json = to_json(checkpoint);
    if (with_fingerprint) json["fingerprint"] = fingerprint;
    print_json(json);
    return success;
  }
  if (with_fingerprint) fmt::print("{:<14} {}\n", "fingerprint", fingerprint);
  print(checkpoint);
  return success;
}

}  // namespace tutti::ckpt
