// Values as people read them, and as programs do.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tutti/core/shape.h"

namespace tutti::ckpt {

// "1.3 GB": of 1000^3.
std::string bytes_text(double bytes);
// "5 min"
std::string age_text(std::chrono::seconds age);

// Columns are as wide as they need to be; those of numbers, as the first row of numbers shows, are aligned to the right.
using Row = std::vector<std::string>;
void print_table(const std::vector<Row>& rows, const std::string& indent = "");

// Names that are no UTF-8 are printed all the same.
void print_json(const nlohmann::ordered_json& document);

nlohmann::ordered_json to_json(const Shape& shape);

}  // namespace tutti::ckpt
