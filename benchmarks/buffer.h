// Memory that a collective is measured on.
#pragma once

#include <memory>
#include <vector>

#include "benchmarks/measure.h"

namespace tutti::bench {

class Buffer {
 public:
  Buffer(Communicator& comm, std::size_t count, const Settings& settings) {
    const auto bytes = count * size_of(settings.dtype);
    if (settings.shared_buffers) {
      shared_ = comm.allocate(bytes);
      view_ = {shared_.get(), count, settings.dtype};
    } else {
      plain_.resize(bytes);
      view_ = {plain_.data(), count, settings.dtype};
    }
  }
  BufferView view() const { return view_; }

 private:
  std::shared_ptr<void> shared_;
  std::vector<std::byte> plain_;
  BufferView view_;
};

}  // namespace tutti::bench
