// What a measurement was taken on.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace tutti::bench {

nlohmann::json describe_machine();

}  // namespace tutti::bench
