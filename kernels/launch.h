// The device seam. A kernel is a struct with one static body a device:
//
//   struct Softmax {
//     static constexpr const char* name = "softmax";
//     static void cpu(const float* in, float* out, std::int64_t rows, std::int64_t columns);
//     static void cuda(const float* in, float* out, std::int64_t rows, std::int64_t columns);  // if there is one
//   };
//
// and is called as `launch<Softmax>(device, in, out, rows, columns)`. A device without a body, or a build
// without the device, is an error that says so; nobody needs stubs or #ifdefs.
//
// A CUDA body runs with `device` as the thread's current GPU, so it takes no device of its own. Only a
// noexcept body does not: it is called from destructors, where making a GPU current must not fail.
#pragma once

#include <utility>

#include "tutti/core/device.h"

namespace tutti::kernels {

#ifdef TUTTI_WITH_CUDA
inline constexpr bool with_cuda = true;
#else
inline constexpr bool with_cuda = false;
#endif

[[noreturn]] void throw_no_kernel(const char* kernel, Device device);

// Makes a GPU the current one of this thread, and the former one again at the end of the scope.
class CurrentGpu {
 public:
  explicit CurrentGpu(Device device);  // throws DeviceError
  ~CurrentGpu();
  CurrentGpu(const CurrentGpu&) = delete;
  CurrentGpu& operator=(const CurrentGpu&) = delete;

 private:
  int former_;
};

template <typename Kernel, typename... Args>
decltype(auto) launch(Device device, Args&&... args) {
  if (device.is_cpu()) return Kernel::cpu(std::forward<Args>(args)...);
  if constexpr (with_cuda && requires { Kernel::cuda(std::forward<Args>(args)...); }) {
    if constexpr (noexcept(Kernel::cuda(std::forward<Args>(args)...))) {
      return Kernel::cuda(std::forward<Args>(args)...);
    } else {
      const CurrentGpu current(device);
      return Kernel::cuda(std::forward<Args>(args)...);
    }
  } else {
    throw_no_kernel(Kernel::name, device);
  }
}

}  // namespace tutti::kernels
