// Running a command line and looking at what comes of it.
#pragma once

#include <string>
#include <vector>

struct Result {
  int code;  // of the shell: 128 + signal for a killed program, 124 when it ran past the time limit
  std::string out;
  std::string err;

  // The lines of `out`, sorted: ranks write in no fixed order.
  std::vector<std::string> sorted_lines() const;
};

Result shell(const std::string& command, int seconds = 60);

// A directory that goes with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string read_text(const std::string& path);
