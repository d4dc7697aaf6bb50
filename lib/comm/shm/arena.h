// The part of a job's file from which one rank allocates.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>

namespace tutti::comm {

// First fit among the free ranges of [begin, begin + bytes), in whole pages. Thread-safe: buffers may die
// anywhere.
class Arena {
 public:
  Arena(std::size_t begin, std::size_t bytes) : free_{{begin, bytes}} {}

  static std::size_t rounded(std::size_t bytes);
  std::optional<std::size_t> take(std::size_t bytes);
  void give_back(std::size_t offset, std::size_t bytes);

 private:
  std::mutex mutex_;
  std::map<std::size_t, std::size_t> free_;  // offset, bytes
};

}  // namespace tutti::comm
