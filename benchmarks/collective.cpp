#include "benchmarks/collective.h"

namespace tutti::bench {

std::vector<std::size_t> sizes_of(const Collective& collective, const Settings& settings) {
  if (!collective.sized) return {0};
  std::vector<std::size_t> sizes;
  for (auto bytes = settings.min_bytes; bytes <= settings.max_bytes; bytes *= settings.factor)
    sizes.push_back(bytes);
  return sizes;
}

}  // namespace tutti::bench
