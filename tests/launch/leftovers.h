// What a run must not leave behind, on a machine where other tests run at the same time.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/shell.h"

namespace tutti::test {

// Shared memory of ranks under mpirun that keeps its name: those that are just joining have one for a moment.
inline std::vector<std::string> left_in_shm() {
  std::vector<std::string> left;
  for (int look = 0; look == 0 || (look < 30 && !left.empty()); ++look) {
    std::vector<std::string> now;
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
      const auto name = entry.path().filename().string();
      const bool counts = look == 0 || std::find(left.begin(), left.end(), name) != left.end();
      if (counts && name.rfind("tutti-mpi-", 0) == 0) now.push_back(name);
    }
    left = now;
    if (!left.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return left;
}

// An argument that no other test's processes have, to find those of a run by.
inline std::string unique_argument() {
  static int runs = 0;
  return fmt::format("run-{}-{}", getpid(), ++runs);
}

inline bool process_runs(const std::string& argument) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() /
                       "cmdline");  // of what is no process, or no more, there is nothing to read
    const std::string line{std::istreambuf_iterator<char>(file), {}};
    if (line.find(argument) != std::string::npos) return true;
  }
  return false;
}

// Whether `runs` stays true: what was killed is gone a moment later, where others use the cores.
template <typename Runs>
bool stays(const Runs& runs) {
  for (int look = 0; look < 50 * TEST_SLOWDOWN; ++look) {
    if (!runs()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return true;
}

inline bool process_left(const std::string& argument) {
  return stays([&] { return process_runs(argument); });
}

}  // namespace tutti::test
