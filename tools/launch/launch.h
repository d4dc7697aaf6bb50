// Starting the ranks of a run on this machine, and standing by until they end.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tutti::launch {

// Whose lines are prefixed with "[rank] ".
enum class Tag { others, all, none };

struct Options {
  std::string name = "tutti-run";  // who speaks when something is to be said
  int ranks = 1;
  std::vector<std::string> command;
  Tag tag = Tag::others;
  std::optional<std::filesystem::path>
      output;                             // a directory: rank r writes rank-<r>.log there, and nothing here
  std::chrono::milliseconds grace{5000};  // from SIGTERM to SIGKILL
};

// Runs the command as `ranks` processes; returns 0, or the first failure's exit code (128 + signal for a rank
// that was killed, 127 for a program that is not there, 126 for one that cannot be run).
int run(const Options& options);

}  // namespace tutti::launch
