#include "tests/launch/shell.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

std::vector<std::string> Result::sorted_lines() const {
  std::vector<std::string> lines;
  std::istringstream stream(out);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::sort(lines.begin(), lines.end());
  return lines;
}

Result shell(const std::string& command, int seconds) {
  const TemporaryDirectory directory;
  const auto file = [&](const char* name) { return directory.path() + "/" + name; };
  std::ofstream(file("command")) << command;
  const int status = std::system(fmt::format("timeout -k 5 {} sh {} < /dev/null > {} 2> {}", seconds,
                                             file("command"), file("out"), file("err"))
                                     .c_str());
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), read_text(file("out")),
          read_text(file("err"))};
}

TemporaryDirectory::TemporaryDirectory()
    : path_(std::filesystem::temp_directory_path() / "tutti-test-XXXXXX") {
  if (!mkdtemp(path_.data())) throw std::runtime_error("no temporary directory at " + path_);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}
