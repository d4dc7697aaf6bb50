// What every table begins with, and JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "benchmarks/collective.h"
#include "benchmarks/settings.h"
#include "benchmarks/timing.h"

namespace tutti::bench {

// What was measured and on what: the parts of the JSON that every document has. Every rank calls it.
nlohmann::json describe(Communicator& comm, const Settings& settings);
nlohmann::json describe(Communicator& comm, const Collective& collective, const Settings& settings);

// The first lines of a table, with `how` after the number of rounds.
void print_heading(const nlohmann::json& document, const std::string& how);
std::string latency_text(const nlohmann::json& nanoseconds);

// "1.23", and "(1.20 to 1.31)"; large numbers without what is noise in them.
std::string number_text(double value);
std::string spread_text(const Spread& spread);
// Members `name`, `name`_min and `name`_max of `object`.
void put(nlohmann::json& object, const std::string& name, const Spread& spread);
Spread get(const nlohmann::json& object, const std::string& name);

// Throws DataError when the file cannot be written.
void write_document(const std::string& path, const nlohmann::json& document);

}  // namespace tutti::bench
