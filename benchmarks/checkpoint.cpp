#include "benchmarks/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "benchmarks/checkpoint_rounds.h"
#include "benchmarks/report.h"
#include "benchmarks/saved_state.h"
#include "benchmarks/timing.h"

namespace tutti::bench {
namespace {

using Values = std::vector<double>;

Values divided(Values above, const Values& below) {
  std::transform(above.begin(), above.end(), below.begin(), above.begin(), std::divides<>());
  return above;
}

Values rates(double bytes, Values seconds) {
  for (auto& value : seconds) value = bytes / value / 1e9;
  return seconds;
}

Values milliseconds(Values seconds) {
  for (auto& value : seconds) value *= 1e3;
  return seconds;
}

struct Row {
  std::string name, title;
  Values values;
  std::string bar = {};
  bool met = true;

  double median() const { return spread_of(values).median; }
};

Row held_to_most(Row row, double most) {
  row.bar = fmt::format("at most {:.2f}", most);
  row.met = row.median() <= most;
  return row;
}

// Encrypted, it is enough to be as fast as a core encrypts.
Row held_to_floor(Row ratio, const Row& rate, const Row* cipher) {
  const double least = cipher ? 0.70 : 0.85;
  ratio.bar = fmt::format("at least {:.2f}{}", least, cipher ? ", or AES" : "");
  ratio.met = ratio.median() >= least || (cipher && rate.median() >= cipher->median());
  return ratio;
}

std::vector<Row> rows_of(const CheckpointResult& result) {
  const auto& times = result.rounds;
  const auto ms = [&](const char* name) { return milliseconds(times.at(name)); };
  const auto rate = [&](const char* name, double bytes) { return rates(bytes, times.at(name)); };
  const auto ratio = [&](const char* above, const char* below) {
    return divided(times.at(above), times.at(below));
  };
  Values behind = times.at("save_s");
  std::transform(behind.begin(), behind.end(), times.at("stall_s").begin(), behind.begin(), std::minus<>());

  const Row save{"save_gb_s", "save, from the call until acknowledged, GB/s",
                 rate("save_s", result.saved_bytes)};
  const Row load{"load_gb_s", "load, verified, GB/s", rate("load_s", result.loaded_bytes)};
  std::vector<Row> rows;
  const Row* cipher = nullptr;
  Row aes;
  if (const auto found = times.find("cipher_gb_s"); found != times.end()) {
    aes = {"cipher_gb_s", "AES-256-GCM on one core, GB/s", found->second};
    cipher = &aes;
    rows.push_back(aes);
  }
  const Row more[] = {
      {"copy_ms", "memcpy of a rank's part, ms", ms("copy_s")},
      {"stall_ms", "stall of a save, ms", ms("stall_s")},
      held_to_most({"stall_to_copy", "  in copies", ratio("stall_s", "copy_s")}, 1.2),
      {"stall_after_restore_ms", "stall of the first save after restore, ms", ms("stall_after_restore_s")},
      {"stall_after_restore_to_copy", "  in copies", ratio("stall_after_restore_s", "copy_s")},
      {"first_stall_ms", "stall of a first save without restore, ms", ms("first_stall_s")},
      {"first_stall_to_copy", "  in copies", ratio("first_stall_s", "copy_s")},
      {"write_floor_gb_s", "direct writes and fsync, GB/s", rate("write_floor_s", result.saved_bytes)},
      save,
      held_to_floor({"save_to_floor", "  of direct writes", ratio("write_floor_s", "save_s")}, save, cipher),
      {"behind_to_floor", "  the same without the stall", divided(times.at("write_floor_s"), behind)},
      {"read_floor_gb_s", "direct reads, GB/s", rate("read_floor_s", result.loaded_bytes)},
      load,
      held_to_floor({"load_to_floor", "  of direct reads", ratio("read_floor_s", "load_s")}, load, cipher),
      {"restore_gb_s", "restore as a whole, with memory for the next save, GB/s",
       rate("restore_s", result.loaded_bytes)}};
  rows.insert(rows.end(), std::begin(more), std::end(more));
  return rows;
}

nlohmann::json json_of(const Row& row) {
  nlohmann::json object{{"name", row.name}};
  put(object, "value", spread_of(row.values));
  if (!row.bar.empty()) {
    object["bar"] = row.bar;
    object["met"] = row.met;
  }
  return object;
}

nlohmann::json describe_checkpoints(Communicator& comm, const Settings& settings,
                                    const CheckpointSettings& checkpoint, const CheckpointResult& result) {
  auto document = describe(comm, settings);
  document["state"] = checkpoint.state;
  document["encrypted"] = checkpoint.encrypt;
  document["state_bytes"] = result.state_bytes;
  document["saved_bytes"] = result.saved_bytes;
  document["loaded_bytes"] = result.loaded_bytes;
  document["wrong"] = result.wrong;
  document["tensors"] = nlohmann::json::array();
  for (const auto& [name, shape] : gpt_shapes(checkpoint.bytes)) {
    document["tensors"].push_back(
        {{"name", name}, {"shape", std::vector<std::int64_t>(shape.begin(), shape.end())}});
  }
  document["seconds"] = result.rounds;
  document["rows"] = nlohmann::json::array();
  return document;
}

void print(const nlohmann::json& document, const std::vector<Row>& rows) {
  fmt::print("# tutti-bench {} checkpoint: {:.3f} GB of state, {}{}, {} ranks, back end {}\n",
             document["tutti"].get<std::string>(), document["state_bytes"].get<double>() / 1e9,
             document["state"].get<std::string>(), document["encrypted"].get<bool>() ? ", encrypted" : "",
             document["ranks"].get<int>(), document["backend"].get<std::string>());
  fmt::print("# saved: {:.3f} GB, loaded: {:.3f} GB; times of the slowest rank; median of {} rounds\n",
             document["saved_bytes"].get<double>() / 1e9, document["loaded_bytes"].get<double>() / 1e9,
             document["rounds"].get<int>());
  fmt::print("# {:<50} {:>9} {:>20}  {}\n", "", "median", "(least to most)", "bar");
  for (const auto& row : rows) {
    const auto spread = spread_of(row.values);
    fmt::print("  {:<50} {:>9} {:>20}  {}{}\n", row.title, number_text(spread.median), spread_text(spread),
               row.bar,
               row.bar.empty() ? ""
               : row.met       ? ": met"
                               : ": NOT met");
  }
  if (const auto wrong = document["wrong"].get<std::size_t>(); wrong > 0)
    fmt::print("{} words came back other than they were\n", wrong);
}

}  // namespace

int measure_checkpoints(Communicator& comm, const Settings& settings, const CheckpointSettings& checkpoint) {
  const auto result = run_checkpoint_rounds(comm, settings, checkpoint);
  auto document = describe_checkpoints(comm, settings, checkpoint, result);
  if (comm.rank() == 0) {
    const auto rows = rows_of(result);
    for (const auto& row : rows) document["rows"].push_back(json_of(row));
    print(document, rows);
    if (!settings.json.empty()) write_document(settings.json, document);
  }
  return result.wrong > 0 ? 1 : 0;
}

}  // namespace tutti::bench
