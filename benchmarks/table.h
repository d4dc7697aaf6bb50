// The table of Tutti on its own.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "benchmarks/measure.h"

namespace tutti::bench {

void print_header(const Collective& collective, const nlohmann::json& document);
void print_row(const Collective& collective, const Settings& settings, const Row& row);
void print_summary(const Collective& collective, const std::vector<Row>& rows);
std::size_t wrong_in(const std::vector<Row>& rows);
void add_rows(nlohmann::json& document, const std::vector<Row>& rows);

}  // namespace tutti::bench
