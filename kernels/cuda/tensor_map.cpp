#include "kernels/cuda/tensor_map.h"

#include <cuda_runtime_api.h>

namespace tutti::kernels {
namespace {

// The driver's own function, had from the runtime: nothing links the driver, so programs start where there is none.
auto encoder() {
  using Encode = decltype(&cuTensorMapEncodeTiled);
  static const Encode encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
    const auto status = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                                         cudaEnableDefault, &found);
#else
    const auto status =
        cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &function, cudaEnableDefault, &found);
#endif
    if (status != cudaSuccess) cudaGetLastError();
    return status == cudaSuccess && found == cudaDriverEntryPointSuccess ? reinterpret_cast<Encode>(function)
                                                                         : nullptr;
  }();
  return encode;
}

}  // namespace

std::optional<TensorMap> tensor_map(const void* data, const TensorMapShape& shape, int box_rows) {
  constexpr std::int64_t most_places = std::int64_t{1} << 31;  // coordinates are int
  if (encoder() == nullptr || shape.places > most_places) return std::nullopt;
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(shape.columns), static_cast<cuuint64_t>(shape.rows),
                              static_cast<cuuint64_t>(shape.places)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(shape.ld) * 2,
                                static_cast<cuuint64_t>(shape.unit) * 2};  // bytes
  const cuuint32_t box[] = {box_columns, static_cast<cuuint32_t>(box_rows), 1}, steps[] = {1, 1, 1};
  TensorMap map;
  const CUresult result =
      encoder()(&map, CU_TENSOR_MAP_DATA_TYPE_UINT16, 3, const_cast<void*>(data), sizes, strides, box, steps,
                CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) return std::nullopt;
  return map;
}

}  // namespace tutti::kernels
