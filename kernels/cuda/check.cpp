#include "kernels/cuda/check.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "kernels/cuda/graph.h"
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
  if (status >= cudaErrorStreamCaptureUnsupported && status <= cudaErrorStreamCaptureWrongThread)
    throw_not_in_graph(what);
  throw DeviceError(fmt::format("{}: {} ({}){}", what, cudaGetErrorString(status), cudaGetErrorName(status),
                                is_late(status) ? "; an earlier kernel may be the cause: TUTTI_CUDA_SYNC=1 "
                                                  "names the right one"
                                                : ""));
}

std::atomic<bool>& waits_for_launches() {
  static std::atomic<bool> waits = [] {
    const char* text = std::getenv("TUTTI_CUDA_SYNC");
    return text != nullptr && std::string_view(text) == "1";
  }();
  return waits;
}

void launched(const char* kernel, cudaStream_t stream) {
  check(cudaGetLastError(), kernel);
  if (waits_for_launches() && !is_capturing()) check(cudaStreamSynchronize(stream), kernel);
}

}  // namespace tutti::kernels
