// Running a command line and looking at what comes of it.
#pragma once

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/files.h"

namespace tutti::test {

struct Result {
  int code;  // of the shell: 128 + signal for a killed program, 124 when it ran past the time limit
  std::string out;
  std::string err;

  // The lines of `out`, sorted: ranks write in no fixed order.
  std::vector<std::string> sorted_lines() const {
    std::vector<std::string> lines;
    std::istringstream stream(out);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    std::sort(lines.begin(), lines.end());
    return lines;
  }
};

inline Result shell(const std::string& command, int seconds = 60) {
  const TemporaryDirectory directory;
  write_file(directory / "command", command);
  const int status =
      std::system(fmt::format("timeout -k 5 {} sh {} < /dev/null > {} 2> {}", seconds * TEST_SLOWDOWN,
                              directory / "command", directory / "out", directory / "err")
                      .c_str());
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), read_file(directory / "out"),
          read_file(directory / "err")};
}

}  // namespace tutti::test
