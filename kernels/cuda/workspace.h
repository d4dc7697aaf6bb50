// Memory of the current GPU that a kernel needs for itself. It goes back in the order of the stream: what was queued before
// may still use it.
#pragma once

#include <cstddef>

#include "kernels/memory.h"

namespace tutti::kernels {

class DeviceWorkspace {
 public:
  explicit DeviceWorkspace(std::size_t bytes) : bytes_(bytes), data_(Allocate::cuda(bytes)) {}
  ~DeviceWorkspace() { Free::cuda(data_, bytes_); }
  DeviceWorkspace(const DeviceWorkspace&) = delete;
  DeviceWorkspace& operator=(const DeviceWorkspace&) = delete;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  std::size_t bytes_;
  void* data_;
};

}  // namespace tutti::kernels
