#include "benchmarks/copy.h"

#include <cstring>

#include "benchmarks/pattern.h"

namespace tutti::bench {

Copy::Copy(Communicator& comm, std::size_t count, DType dtype)
    : from_(comm, count, dtype, Place::private_memory), to_(comm, count, dtype, Place::private_memory) {}

Contestant Copy::contestant() const {
  const auto from = from_.view(), to = to_.view();
  const Contents contents({Pattern(from.dtype, [](std::size_t i) { return static_cast<double>(i % 7); })});
  return {.prepare = [contents, from] { contents.fill(from); },
          .call = [from, to] { std::memcpy(to.data, from.data, from.bytes()); },
          .together = false};
}

}  // namespace tutti::bench
