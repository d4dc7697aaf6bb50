// One rank as a process.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace tutti::launch {

struct Spawn {
  std::vector<std::string> command;
  std::vector<std::string> environment;
  int in = 0, out = 1, err = 2;  // what the process has as its standard streams
  bool own_group = true;         // a group of its own, so that a signal reaches what the rank itself started
};

// Starts a process that dies with this one, whatever becomes of it.
// Throws std::system_error with the reason when the program cannot be run.
pid_t spawn(const Spawn& spawn);

}  // namespace tutti::launch
