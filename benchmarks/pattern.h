// Filling buffers with known elements, and counting those that came out otherwise.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "benchmarks/measure.h"
#include "tutti/core/buffer_view.h"

namespace tutti::bench {

class Pattern {
 public:
  // `element(i)` for each i below `period`.
  Pattern(DType dtype, const std::function<double(std::size_t)>& element);

  void fill(BufferView buffer) const;
  // Elements of `buffer` that differ in any bit.
  std::size_t wrong(ConstBufferView buffer) const;

 private:
  std::size_t width_;
  std::vector<std::byte> bytes_;
};

// What this rank brings to a collective, and what it must get.
Pattern input_of(const Communicator& comm, const Collective& collective, const Settings& settings);
Pattern result_of(const Communicator& comm, const Collective& collective, const Settings& settings);

}  // namespace tutti::bench
