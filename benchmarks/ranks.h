// The ranks that a benchmark runs on.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "benchmarks/settings.h"
#include "tutti/comm/communicator.h"

namespace tutti::bench {

// Whether a launcher, or this program, has started this process as a rank.
bool under_launcher();
inline constexpr auto started_variable = "TUTTI_BENCH_RANK";  // set for the ranks that this program starts

// This program once more, with the same arguments.
std::vector<std::string> self(char** argv);

// Calls `body` on every rank: on threads of this process, on processes that are started by this program with
// the same arguments, or, where a launcher has started this process as a rank already, on that one. Returns
// the exit code: the largest of the ranks, or what their launcher says.
int run_on_ranks(const Settings& settings, char** argv, const std::function<int(Communicator&)>& body);

}  // namespace tutti::bench
