// The GPUs of this process. kernels/cpu/no_cuda.cpp stands in where CUDA is not built.
#include "tutti/core/device.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <cstdlib>

#include "kernels/cuda/check.h"
#include "kernels/launch.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

std::string dotted(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

std::string visible_devices() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible ? fmt::format(" (CUDA_VISIBLE_DEVICES={})", visible) : "";
}

// Number of GPUs; where there is none, `why` says so.
int count_gpus(std::string& why) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaSuccess && count > 0) return count;
  cudaGetLastError();
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) {
    why = "no NVIDIA driver is installed on this machine";
  } else if (status == cudaErrorInsufficientDriver) {
    why = fmt::format("the NVIDIA driver supports CUDA {}, and Tutti was built with {}: update the driver",
                      dotted(driver), dotted(CUDART_VERSION));
  } else if (status == cudaSuccess || status == cudaErrorNoDevice) {
    why = "the NVIDIA driver shows no GPU" + visible_devices();
  } else {
    why = fmt::format("{} ({})", cudaGetErrorString(status), cudaGetErrorName(status));
  }
  return 0;
}

}  // namespace

bool Device::has_cuda(std::string* why) {
  std::string reason;
  const bool found = count_gpus(reason) > 0;
  if (why) *why = reason;
  return found;
}

int Device::cuda_count() {
  std::string why;
  return count_gpus(why);
}

Device Device::cuda(int index) {
  std::string why;
  const int count = count_gpus(why);
  if (count == 0) throw DeviceError("Device::cuda: " + why);
  if (index < 0 || index >= count) {
    throw DeviceError(fmt::format("Device::cuda: there is no GPU {}: this process sees {}, numbered from 0{}",
                                  index, count, visible_devices()));
  }
  return {Kind::cuda, index};
}

namespace kernels {

CurrentGpu::CurrentGpu(Device device) {
  check(cudaGetDevice(&former_), "cudaGetDevice");
  if (former_ != device.index()) check(cudaSetDevice(device.index()), device.str().c_str());
}

CurrentGpu::~CurrentGpu() { cudaSetDevice(former_); }

}  // namespace kernels
}  // namespace tutti
