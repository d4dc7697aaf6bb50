// The table on the terminal, and the same as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "benchmarks/measure.h"

namespace tutti::bench {

void print_header(const Communicator& comm, const Collective& collective, const Settings& settings);
void print_row(const Collective& collective, const Settings& settings, const Row& row);
// Returns the number of wrong elements in all.
std::size_t print_summary(const std::vector<Row>& rows);

// Throws DataError when the file cannot be written.
void write_json(const Communicator& comm, const Collective& collective, const Settings& settings,
                const std::vector<Row>& rows);

// The parts of the JSON that every table has; its rows are empty.
nlohmann::json describe(const Communicator& comm, const Collective& collective, const Settings& settings);
void write_document(const Settings& settings, const nlohmann::json& document);

}  // namespace tutti::bench
