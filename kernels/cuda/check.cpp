#include "kernels/cuda/check.h"

#include <fmt/format.h>

#include "tutti/core/error.h"

namespace tutti::kernels {
namespace {

// Faults of a kernel that was launched earlier, met by whichever call came next.
bool is_late(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorIllegalInstruction:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchTimeout:
    case cudaErrorLaunchFailure:
    case cudaErrorAssert:
      return true;
    default:
      return false;
  }
}

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next kernel is not blamed for it
  throw DeviceError(fmt::format("{}: {} ({}){}", what, cudaGetErrorString(status), cudaGetErrorName(status),
                                is_late(status)
                                    ? "; an earlier kernel may be the cause: CUDA_LAUNCH_BLOCKING=1 "
                                      "names the right one"
                                    : ""));
}

}  // namespace tutti::kernels
