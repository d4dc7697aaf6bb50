// What a fuzz target demands of input that was accepted.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace tutti::test {

inline void require(bool holds, const char* rule) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", rule);
  std::abort();
}

}  // namespace tutti::test
