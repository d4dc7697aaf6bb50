// Division by a number that the host knows: a product and a shift, where a GPU's division of integers takes tens of
// instructions.
#pragma once

#include <cstdint>

namespace tutti::kernels {

// Of numbers below 2^31, by one from 1 to 2^31 - 1.
class Divisor {
 public:
  Divisor() = default;
  explicit Divisor(std::int64_t by) : by_(static_cast<std::uint32_t>(by)) {
    while ((std::uint64_t{1} << shift_) < by_) ++shift_;
    factor_ = static_cast<std::uint32_t>(
        ((std::uint64_t{1} << 32) * ((std::uint64_t{1} << shift_) - by_)) / by_ + 1);
  }

  __host__ __device__ std::uint32_t by() const { return by_; }
  __device__ std::uint32_t divide(std::uint32_t x) const { return (__umulhi(x, factor_) + x) >> shift_; }
  __device__ std::uint32_t divide(std::uint32_t x, std::uint32_t& rest) const {
    const std::uint32_t quotient = divide(x);
    rest = x - quotient * by_;
    return quotient;
  }

 private:
  std::uint32_t by_ = 1, factor_ = 1, shift_ = 0;
};

}  // namespace tutti::kernels
