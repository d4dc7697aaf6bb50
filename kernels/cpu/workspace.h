// Memory that a kernel needs for itself while it runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/memory_account.h"
#include "kernels/memory.h"

namespace tutti::kernels {

// `count` elements of no value yet, on the CPU. Throws DeviceError where there is no more.
template <typename T>
class Workspace {
 public:
  explicit Workspace(std::int64_t count)
      : bytes_(static_cast<std::size_t>(count) * sizeof(T)),
        data_(bytes_ == 0 ? nullptr : Allocate::cpu(bytes_)) {
    memory::add({}, memory::Category::workspace, bytes_);
  }
  ~Workspace() {
    memory::remove({}, memory::Category::workspace, bytes_);
    if (data_) Free::cpu(data_, bytes_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  T* data() { return static_cast<T*>(data_); }

 private:
  std::size_t bytes_;
  void* data_;
};

}  // namespace tutti::kernels
