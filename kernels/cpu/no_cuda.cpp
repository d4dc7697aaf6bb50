// Stands in for kernels/cuda/device.cpp where CUDA is not built.
#include "tutti/core/device.h"
#include "tutti/core/error.h"

namespace tutti {

bool Device::has_cuda(std::string* why) {
  if (why) *why = "Tutti was built without CUDA: " TUTTI_NO_CUDA;
  return false;
}

int Device::cuda_count() { return 0; }

Device Device::cuda(int) {
  std::string why;
  has_cuda(&why);
  throw DeviceError("Device::cuda: " + why);
}

}  // namespace tutti
