#include "benchmarks/table.h"

#include <fmt/format.h>

#include <cstdio>

#include "benchmarks/report.h"

namespace tutti::bench {
namespace {

constexpr auto form_columns = "   {:>10} {:>20} {:>7} {:>7}{} {:>7}";

std::string copy_column(const Collective& collective, const std::string& text) {
  return collective.moves_as_a_copy ? fmt::format(" {:>7}", text) : "";
}

std::string columns(const Collective& collective, const Timing& timing) {
  const auto of_copy = timing.of_copy ? fmt::format("{:.0f} %", *timing.of_copy * 100) : "";
  return fmt::format(form_columns, number_text(timing.microseconds.median), spread_text(timing.microseconds),
                     number_text(timing.algorithm_bandwidth), number_text(timing.bus_bandwidth),
                     copy_column(collective, of_copy), timing.wrong);
}

template <typename Function>
void for_each_timing(const std::vector<Row>& rows, const Function& function) {
  for (const auto& row : rows) {
    if (row.out_of_place) function(*row.out_of_place);
    if (row.in_place) function(*row.in_place);
  }
}

double average_bus_bandwidth(const std::vector<Row>& rows) {
  double sum = 0, count = 0;
  for_each_timing(rows, [&](const Timing& timing) { sum += timing.bus_bandwidth, ++count; });
  return count > 0 ? sum / count : 0;
}

nlohmann::json to_json(const Timing& timing) {
  nlohmann::json result{{"algbw_gb_s", timing.algorithm_bandwidth},
                        {"busbw_gb_s", timing.bus_bandwidth},
                        {"wrong", timing.wrong}};
  put(result, "time_us", timing.microseconds);
  if (timing.of_copy) result["of_copy"] = *timing.of_copy;
  return result;
}

}  // namespace

void print_header(const Collective& collective, const nlohmann::json& document) {
  print_heading(document, "");
  fmt::print("# a cache line from rank 0 to rank 1: {}\n", latency_text(document["line_latency_ns"]));
  const auto names = fmt::format(form_columns, "time", "(least to most)", "algbw", "busbw",
                                 copy_column(collective, "of copy"), "#wrong");
  const auto units =
      fmt::format(form_columns, "(us)", "", "(GB/s)", "(GB/s)", copy_column(collective, ""), "");
  std::string forms, all_names, all_units;
  const auto add = [&](const char* form) {
    forms += fmt::format("   {:<{}}", form, names.size() - 3);
    all_names += names;
    all_units += units;
  };
  if (collective.out_of_place) add("out of place");
  if (collective.in_place) add("in place");
  fmt::print("# {:>38}{}\n", "", forms.substr(0, forms.find_last_not_of(' ') + 1));
  fmt::print("# {:>10} {:>12} {:>6} {:>6}{}\n", "size", "count", "type", "op", all_names);
  fmt::print("# {:>10} {:>12} {:>6} {:>6}{}\n", "(B)", "(elements)", "", "",
             all_units.substr(0, all_units.find_last_not_of(' ') + 1));
  std::fflush(stdout);
}

void print_row(const Collective& collective, const Settings& settings, const Row& row) {
  fmt::print("  {:>10} {:>12} {:>6} {:>6}{}{}\n", row.bytes, row.count, name_of(settings.dtype),
             collective.reduces ? name_of(settings.op) : "none",
             row.out_of_place ? columns(collective, *row.out_of_place) : "",
             row.in_place ? columns(collective, *row.in_place) : "");
  std::fflush(stdout);
}

std::size_t wrong_in(const std::vector<Row>& rows) {
  std::size_t wrong = 0;
  for_each_timing(rows, [&](const Timing& timing) { wrong += timing.wrong; });
  return wrong;
}

void print_summary(const Collective& collective, const std::vector<Row>& rows) {
  const auto wrong = wrong_in(rows);
  fmt::print("# Wrong elements: {}{}\n", wrong, wrong > 0 ? " FAILED" : "");
  if (collective.sized) fmt::print("# Average bus bandwidth: {:.3f} GB/s\n", average_bus_bandwidth(rows));
  std::fflush(stdout);
}

void add_rows(nlohmann::json& document, const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    nlohmann::json object{{"size", row.bytes}, {"count", row.count}};
    if (row.out_of_place) object["out_of_place"] = to_json(*row.out_of_place);
    if (row.in_place) object["in_place"] = to_json(*row.in_place);
    document["rows"].push_back(std::move(object));
  }
  document["average_busbw_gb_s"] = average_bus_bandwidth(rows);
}

}  // namespace tutti::bench
