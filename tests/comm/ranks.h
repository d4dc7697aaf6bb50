// Runs a function on every rank of a group, as threads or as processes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tutti/comm/communicator.h"

namespace tutti::test {

// What each rank returned, or the message of what it threw.
std::vector<std::string> on_threads(int size, const std::function<std::string(Communicator&)>& body);

std::string joined(const std::vector<std::string>& lines);

}  // namespace tutti::test
