#include "benchmarks/pattern.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace tutti::bench {
namespace {

constexpr std::size_t period = 840;

Contents contents(const Communicator& comm, const Settings& settings, bool per_rank,
                  const std::function<double(const Element&)>& element) {
  std::vector<Pattern> blocks;
  for (int block = 0; block < (per_rank ? comm.size() : 1); ++block) {
    blocks.emplace_back(settings.dtype, [&](std::size_t i) {
      return element({i, block, comm.rank(), comm.size()});
    });
  }
  return Contents(std::move(blocks));
}

}  // namespace

Pattern::Pattern(DType dtype, const std::function<double(std::size_t)>& element)
    : width_(size_of(dtype)), bytes_(width_ * period) {
  visit_dtype(dtype, [&]<typename T>() {
    for (std::size_t i = 0; i < period; ++i) {
      T value;
      if constexpr (std::is_same_v<T, bool>) {
        value = element(i) != 0;
      } else if constexpr (std::is_integral_v<T>) {
        value = static_cast<T>(static_cast<std::int64_t>(element(i)));  // wraps, as the library's integers do
      } else if constexpr (sizeof(T) == 2) {
        value = T(static_cast<float>(element(i)));
      } else {
        value = static_cast<T>(element(i));
      }
      std::memcpy(bytes_.data() + i * sizeof(T), &value, sizeof(T));
    }
  });
}

// By ordinary stores, as a gradient is written: a long memcpy may go past the caches, and then no rank would find
// anything in one.
void Pattern::fill(std::byte* to, std::size_t bytes) const {
  constexpr std::size_t step = 64;
  for (std::size_t done = 0; done < bytes; done += bytes_.size()) {
    const auto part = std::min(bytes_.size(), bytes - done);
    std::size_t i = 0;
    for (; i + step <= part; i += step) std::memcpy(to + done + i, bytes_.data() + i, step);
    std::memcpy(to + done + i, bytes_.data() + i, part - i);
  }
}

std::size_t Pattern::wrong(const std::byte* from, std::size_t bytes) const {
  std::size_t count = 0;
  for (std::size_t done = 0; done < bytes; done += bytes_.size()) {
    const auto part = std::min(bytes_.size(), bytes - done);
    if (std::memcmp(from + done, bytes_.data(), part) == 0) continue;
    for (std::size_t i = 0; i < part; i += width_)
      count += std::memcmp(from + done + i, &bytes_[i], width_) != 0;
  }
  return count;
}

void Contents::fill(BufferView buffer) const {
  const auto block = buffer.bytes() / blocks_.size();
  auto* to = static_cast<std::byte*>(buffer.data);
  for (std::size_t i = 0; i < blocks_.size(); ++i) blocks_[i].fill(to + i * block, block);
}

std::size_t Contents::wrong(ConstBufferView buffer) const {
  const auto block = buffer.bytes() / blocks_.size();
  const auto* from = static_cast<const std::byte*>(buffer.data);
  std::size_t count = 0;
  for (std::size_t i = 0; i < blocks_.size(); ++i) count += blocks_[i].wrong(from + i * block, block);
  return count;
}

Contents input_of(const Communicator& comm, const Collective& collective, const Settings& settings) {
  return contents(comm, settings, collective.in_per_rank,
                  [&](const Element& e) { return collective.input(e, settings.op); });
}

Contents result_of(const Communicator& comm, const Collective& collective, const Settings& settings) {
  return contents(comm, settings, collective.out_per_rank,
                  [&](const Element& e) { return collective.result(e, settings.op, settings.dtype); });
}

}  // namespace tutti::bench
