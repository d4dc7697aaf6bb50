#include "benchmarks/pattern.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "benchmarks/collective.h"

namespace tutti::bench {

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

void Pattern::fill(BufferView buffer) const {
  auto* to = static_cast<std::byte*>(buffer.data);
  for (std::size_t done = 0; done < buffer.bytes(); done += bytes_.size()) {
    std::memcpy(to + done, bytes_.data(), std::min(bytes_.size(), buffer.bytes() - done));
  }
}

Pattern input_of(const Communicator& comm, const Collective& collective, const Settings& settings) {
  return {settings.dtype,
          [&](std::size_t i) { return collective.input(i, comm.rank(), comm.size(), settings.op); }};
}

Pattern result_of(const Communicator& comm, const Collective& collective, const Settings& settings) {
  return {settings.dtype, [&](std::size_t i) {
            return collective.result(i, comm.rank(), comm.size(), settings.op, settings.dtype);
          }};
}

std::size_t Pattern::wrong(ConstBufferView buffer) const {
  const auto* from = static_cast<const std::byte*>(buffer.data);
  std::size_t count = 0;
  for (std::size_t done = 0; done < buffer.bytes(); done += bytes_.size()) {
    const auto bytes = std::min(bytes_.size(), buffer.bytes() - done);
    if (std::memcmp(from + done, bytes_.data(), bytes) == 0) continue;
    for (std::size_t i = 0; i < bytes; i += width_)
      count += std::memcmp(from + done + i, &bytes_[i], width_) != 0;
  }
  return count;
}

}  // namespace tutti::bench
