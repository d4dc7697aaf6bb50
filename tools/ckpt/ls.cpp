#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <optional>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "ckpt/text.h"
#include "tutti/core/error.h"

namespace tutti::ckpt {
namespace {

namespace fs = std::filesystem;

struct Line {
  std::string path;
  std::optional<std::chrono::seconds> age;
  std::optional<Checkpoint> checkpoint;  // unless it is damaged
  std::string locked;                    // why the keys don't open it
  std::string damage;
};

// The manifest is written last.
std::optional<std::chrono::seconds> age_of(const std::string& path) {
  for (const auto* name : {"manifest.json", "manifest.json.enc"}) {
    std::error_code error;
    const auto time = fs::last_write_time(fs::path(path) / name, error);
    if (!error)
      return std::chrono::duration_cast<std::chrono::seconds>(fs::file_time_type::clock::now() - time);
  }
  return std::nullopt;
}

// What can be seen without reading the files.
std::string damage_of(const Checkpoint& checkpoint) {
  const bool encrypted = checkpoint.encrypted();
  for (const auto& file : checkpoint.files()) {
    const auto path = fs::path(checkpoint.path()) / (encrypted ? file.name + ".enc" : file.name);
    std::error_code error;
    const auto bytes = fs::file_size(path, error);
    if (error) return fmt::format("{}: {}", path.string(), error.message());
    if (!encrypted && bytes != file.bytes)
      return fmt::format("{}: it has {} bytes, and the manifest says {}", path.string(), bytes, file.bytes);
  }
  return "";
}

Line look_at(const std::string& path, const Common& common) {
  Line line{.path = path, .age = age_of(path), .checkpoint = {}, .locked = "", .damage = ""};
  try {
    line.checkpoint.emplace(open(path, common));
    line.damage = damage_of(*line.checkpoint);
  } catch (const CheckpointError& error) {
    (is_about_keys(error, path, common) ? line.locked : line.damage) = error.what();
  }
  return line;
}

nlohmann::ordered_json to_json(const Line& line) {
  nlohmann::ordered_json json{
      {"path", line.path}, {"encrypted", is_encrypted(line.path)}, {"damaged", !line.damage.empty()}};
  if (!line.damage.empty()) json["damage"] = line.damage;
  if (!line.locked.empty()) json["locked"] = line.locked;
  if (line.age) json["age_seconds"] = line.age->count();
  if (line.checkpoint) {
    json["steps"] = line.checkpoint->steps();
    json["bytes"] = bytes_of(*line.checkpoint);
    json["world_size"] = line.checkpoint->world_size();
    json["logical_ranks"] = line.checkpoint->logical_ranks();
    json["tensors"] = line.checkpoint->tensors().size();
  }
  return json;
}

void print(const std::vector<Line>& lines) {
  std::vector<Row> rows{{"steps", "size", "age", "ranks", "checkpoint"}};
  for (const auto& line : lines) {
    Row row{"?", "?", line.age ? age_text(*line.age) : "?", "?", line.path};
    if (line.checkpoint) {
      row[0] = std::to_string(line.checkpoint->steps());
      row[1] = bytes_text(static_cast<double>(bytes_of(*line.checkpoint)));
      row[3] = std::to_string(line.checkpoint->world_size());
    }
    if (is_encrypted(line.path)) row.push_back(line.locked.empty() ? "encrypted" : "encrypted, not opened");
    if (!line.damage.empty()) row.push_back("DAMAGED: " + line.damage);
    rows.push_back(std::move(row));
  }
  print_table(rows);
}

}  // namespace

int ls(const std::string& run, const Common& common) {
  std::vector<Line> lines;
  bool damage = false;
  for (const auto& path : Checkpoint::list(run)) {
    lines.push_back(look_at(path, common));
    damage |= !lines.back().damage.empty();
  }
  if (common.json) {
    auto all = nlohmann::ordered_json::array();
    for (const auto& line : lines) all.push_back(to_json(line));
    print_json({{"run", run}, {"checkpoints", all}});
  } else {
    print(lines);
  }
  return damage ? found : success;
}

}  // namespace tutti::ckpt
