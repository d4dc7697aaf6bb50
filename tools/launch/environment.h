// What a rank learns from its launcher.
#pragma once

#include <string>
#include <vector>

namespace tutti::launch {

// A name for this run that no other run on this machine has.
std::string make_job();

// The environment of this process and the variables of rank `rank`, as "NAME=value".
std::vector<std::string> rank_environment(int rank, int ranks, const std::string& job);

}  // namespace tutti::launch
