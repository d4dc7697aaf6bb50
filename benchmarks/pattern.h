// Filling buffers with known elements, and counting those that came out otherwise.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "benchmarks/collective.h"
#include "benchmarks/settings.h"

namespace tutti::bench {

// The elements of a block: a short sequence, again and again, so that writing them is as fast as memory is.
class Pattern {
 public:
  Pattern(DType dtype, const std::function<double(std::size_t)>& element);

  void fill(std::byte* to, std::size_t bytes) const;
  // Elements that differ in any bit.
  std::size_t wrong(const std::byte* from, std::size_t bytes) const;

 private:
  std::size_t width_;
  std::vector<std::byte> bytes_;
};

// A buffer's blocks.
class Contents {
 public:
  explicit Contents(std::vector<Pattern> blocks) : blocks_(std::move(blocks)) {}
  void fill(BufferView buffer) const;
  std::size_t wrong(ConstBufferView buffer) const;

 private:
  std::vector<Pattern> blocks_;
};

// What this rank brings to a collective, and what it must get.
Contents input_of(const Communicator& comm, const Collective& collective, const Settings& settings);
Contents result_of(const Communicator& comm, const Collective& collective, const Settings& settings);

}  // namespace tutti::bench
