# Kernels of CUDA as C++ sources, over the language and the runtime of simulated GPUs. What cannot run there has a sibling here:
# cuBLASLt's products, and what the driver knows.
list(FILTER tutti_cuda_sources EXCLUDE REGEX "/(matmul|blas_context|lt_choice|tensor_map)\\.cpp$")
file(GLOB simt_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/simt/*.cpp)
list(FILTER simt_sources EXCLUDE REGEX "_test\\.cpp$")
list(APPEND tutti_cuda_sources ${simt_sources})
set(simt_options -Wno-unknown-pragmas -include ${PROJECT_SOURCE_DIR}/tests/simt/language.h)
if(TUTTI_SANITIZE)  # what is undefined takes as long to look for as kernels to compile; misaligned packs show without it
  list(APPEND simt_options -fno-sanitize=undefined)
endif()
set_source_files_properties(${tutti_cuda_sources} PROPERTIES
  LANGUAGE CXX
  INCLUDE_DIRECTORIES ${PROJECT_SOURCE_DIR}/tests/simt/override  # before all others
  COMPILE_OPTIONS "${simt_options}")
