// cuBLASLt's handle and scratch memory, one of each a GPU.
#pragma once

#include <cublasLt.h>

#include <cstddef>

namespace tutti::kernels {

// Throws DeviceError for a failed call of cuBLASLt.
void check(cublasStatus_t status, const char* what);

class BlasContext {
 public:
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // what NVIDIA advises from Hopper on

  // The current GPU's, made at the first call. Threads may share it: products are queued on one stream, so no
  // two use the workspace at once.
  static const BlasContext& current();

  BlasContext();
  BlasContext(const BlasContext&) = delete;
  BlasContext& operator=(const BlasContext&) = delete;
  ~BlasContext();

  cublasLtHandle_t handle() const { return handle_; }
  void* workspace() const { return workspace_; }

 private:
  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
};

}  // namespace tutti::kernels
