#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "benchmarks/report.h"
#include "benchmarks/versus.h"

namespace tutti::bench {
namespace {

using nlohmann::json;

bool is_tuned(const json& run) { return run["tuning"] != as_installed && run["tuning"] != as_started; }

// The peer's side of a row: a wrong result counts as none.
json side(const json& run, std::size_t row) {
  const auto& from = run["rows"][row];
  if (from["peer_wrong"] != 0) return nullptr;
  json result{{"tuning", run["tuning"]}};
  put(result, "time_us", get(from, "peer_time_us"));
  put(result, "ratio", get(from, "ratio"));
  return result;
}

json merged_row(const std::vector<json>& runs, std::size_t row) {
  const auto first = std::find_if_not(runs.begin(), runs.end(), is_tuned);
  const json* from = first != runs.end() ? &*first : nullptr;
  json installed = from ? side(*from, row) : nullptr, tuned;
  std::size_t wrong = 0;
  for (const auto& run : runs) {
    wrong += run["rows"][row]["wrong"].get<std::size_t>();
    if (!is_tuned(run)) continue;
    const auto candidate = side(run, row);
    if (candidate.is_null() || (!tuned.is_null() && candidate["ratio"] >= tuned["ratio"])) continue;
    tuned = candidate;
    if (first == runs.end()) from = &run;
  }
  if (!from) from = &runs.front();
  const auto& ours = (*from)["rows"][row];
  json result{{"size", ours["size"]},
              {"count", ours["count"]},
              {"wrong", wrong},
              {"as_it_is", installed},
              {"tuned", tuned}};
  put(result, "time_us", get(ours, "time_us"));
  if (ours.contains("of_copy")) result["of_copy"] = ours["of_copy"];
  return result;
}

constexpr auto side_columns = "   {:>10} {:>7} {:>18}";

std::string side_text(const json& side) {
  if (side.is_null()) return fmt::format(side_columns, "none", "", "");
  const auto ratio = get(side, "ratio");
  return fmt::format(side_columns, number_text(side["time_us"].get<double>()),
                     fmt::format("{:.2f}x", ratio.median), spread_text(ratio));
}

// Of all runs: the machine may have changed between them.
std::string latencies(const json& runs) {
  json least, most;
  for (const auto& run : runs) {
    const auto& latency = run["line_latency_ns"];
    if (latency.is_null()) continue;
    if (least.is_null() || latency < least) least = latency;
    if (most.is_null() || latency > most) most = latency;
  }
  return least == most ? latency_text(least) : latency_text(least) + " to " + latency_text(most);
}

}  // namespace

json merged(const std::vector<json>& runs) {
  json document = runs.front();
  for (const char* name : {"tuning", "rows", "line_latency_ns"}) document.erase(name);
  for (const auto& run : runs) {
    document["runs"].push_back(
        {{"tuning", run["tuning"]}, {"line_latency_ns", run["line_latency_ns"]}, {"rows", run["rows"]}});
  }
  document["rows"] = json::array();
  for (std::size_t row = 0; row < runs.front()["rows"].size(); ++row)
    document["rows"].push_back(merged_row(runs, row));
  return document;
}

void print_versus(const json& document) {
  const auto& runs = document["runs"];
  const bool as_it_is = !std::all_of(runs.begin(), runs.end(), is_tuned);
  const bool tuned = std::any_of(runs.begin(), runs.end(), is_tuned);
  const bool copies = document["rows"][0].contains("of_copy");
  print_heading(document, ", rewritten before each call");
  fmt::print("# against {}, by turns; ratio: how many times faster Tutti is, with the least and the most\n",
             document["peer"].get<std::string>());
  if (tuned)
    fmt::print("# best tuned: the one of {} settings that Tutti gains least against\n",
               runs.size() - as_it_is);
  fmt::print("# a cache line from rank 0 to rank 1: {}\n", latencies(runs));
  std::string names = fmt::format("{:>10} {:>20}", "Tutti (us)", "(least to most)");
  if (copies) names += fmt::format(" {:>8}", "of copy");
  if (as_it_is) names += fmt::format(side_columns, runs[0]["tuning"].get<std::string>(), "ratio", "");
  if (tuned) names += fmt::format(side_columns, "best tuned", "ratio", "") + fmt::format("  {:<24}", "");
  fmt::print("# {:>10} {:>6} {:>6}   {} {:>7}\n", "size (B)", "type", "op", names, "#wrong");
  for (const auto& row : document["rows"]) {
    const auto time = get(row, "time_us");
    auto line = fmt::format("{:>10} {:>20}", number_text(time.median), spread_text(time));
    if (copies) line += fmt::format(" {:>6.0f} %", row["of_copy"].get<double>() * 100);
    if (as_it_is) line += side_text(row["as_it_is"]);
    if (tuned) {
      const auto& best = row["tuned"];
      line +=
          side_text(best) + fmt::format("  {:<24}", best.is_null() ? "" : best["tuning"].get<std::string>());
    }
    fmt::print("  {:>10} {:>6} {:>6}   {} {:>7}\n", row["size"].get<std::size_t>(),
               document["dtype"].get<std::string>(), document["op"].get<std::string>(), line,
               row["wrong"].get<std::size_t>());
  }
  std::fflush(stdout);
}

std::size_t wrong_in(const json& document) {
  std::size_t wrong = 0;
  for (const auto& row : document["rows"]) wrong += row["wrong"].get<std::size_t>();
  return wrong;
}

}  // namespace tutti::bench
