# The one library. A file is found by its place: lib/<folder>/*.cpp and kernels/<device>/*; what belongs to a
# back end that is not built stays out, and its sibling no_<name>.cpp stands in.

file(GLOB_RECURSE tutti_sources CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/lib/*.cpp ${PROJECT_SOURCE_DIR}/kernels/cpu/*.cpp)

function(tutti_back_end name folder)
  if(TUTTI_WITH_${name})
    list(FILTER tutti_sources EXCLUDE REGEX "/no_${folder}\\.cpp$")
  else()
    list(FILTER tutti_sources EXCLUDE REGEX "/${folder}/")
  endif()
  set(tutti_sources ${tutti_sources} PARENT_SCOPE)
endfunction()

tutti_back_end(MPI mpi)
tutti_back_end(NCCL nccl)
tutti_back_end(BLAS blas)
tutti_back_end(OPENSSL openssl)
if(TUTTI_WITH_CUDA)
  file(GLOB_RECURSE tutti_cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cu
    ${PROJECT_SOURCE_DIR}/kernels/cuda/*.cpp)
  list(FILTER tutti_sources EXCLUDE REGEX "/no_cuda\\.cpp$")
  if(TUTTI_CUDA STREQUAL SIMULATED)
    include(tests/simt/Simulated.cmake)
  endif()
  set_source_files_properties(${tutti_cuda_sources} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)  # each takes long enough
  list(APPEND tutti_sources ${tutti_cuda_sources})
else()
  set_source_files_properties(${PROJECT_SOURCE_DIR}/kernels/cpu/no_cuda.cpp PROPERTIES
    COMPILE_DEFINITIONS "TUTTI_NO_CUDA=\"${cuda_why_not}\"")
endif()
if(NOT TUTTI_WITH_NCCL)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/lib/comm/no_nccl.cpp PROPERTIES
    COMPILE_DEFINITIONS "TUTTI_NO_NCCL=\"${nccl_why_not}\"")
endif()

# Kernels are loops to be vectorised; nothing reads errno or traps after arithmetic. What a sanitizer finds does not
# hang on it, and takes three times as long to compile.
set(vectorise -O3)
if(TUTTI_SANITIZE)
  set(vectorise "")
endif()
set(tutti_kernels ${tutti_sources})
list(FILTER tutti_kernels INCLUDE REGEX "/kernels/cpu/")
set_source_files_properties(${tutti_kernels} PROPERTIES
  SKIP_PRECOMPILE_HEADERS ON  # which are of other options
  COMPILE_OPTIONS "$<$<NOT:$<CONFIG:Debug>>:${vectorise}>;-fno-math-errno;-fno-trapping-math")

add_library(tutti STATIC ${tutti_sources})
add_library(tutti::tutti ALIAS tutti)
target_compile_features(tutti PUBLIC cxx_std_20)
set_target_properties(tutti PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_include_directories(tutti
  PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>
  PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/lib)
target_link_libraries(tutti PUBLIC Threads::Threads PRIVATE fmt::fmt ZLIB::ZLIB
  $<BUILD_INTERFACE:Eigen3::Eigen> $<BUILD_INTERFACE:nlohmann_json::nlohmann_json>)
target_include_directories(tutti SYSTEM PRIVATE ${TUTTI_XXHASH_INCLUDE_DIR})

if(TUTTI_WITH_BLAS)
  target_link_libraries(tutti PRIVATE ${BLAS_LIBRARIES})
endif()
if(TUTTI_WITH_MPI)
  target_link_libraries(tutti PRIVATE MPI::MPI_CXX)
endif()
if(TUTTI_WITH_OPENSSL)
  target_link_libraries(tutti PRIVATE OpenSSL::Crypto)
endif()
if(TUTTI_WITH_CUDA AND NOT TUTTI_CUDA STREQUAL SIMULATED)
  # CMake 3.25 does not know nvcc's flag for C++20. The 16-bit floats of core/dtype.h are constexpr, and convert to
  # the same bits on both sides.
  set_property(TARGET tutti PROPERTY CUDA_STANDARD)
  set_target_properties(tutti PROPERTIES CUDA_ARCHITECTURES "${TUTTI_CUDA_ARCHITECTURES}")
  target_compile_options(tutti PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--expt-relaxed-constexpr>)
  target_link_libraries(tutti PRIVATE CUDA::cudart_static CUDA::cublasLt)
endif()
if(TUTTI_WITH_NCCL)
  target_include_directories(tutti SYSTEM PRIVATE ${TUTTI_NCCL_INCLUDE_DIR})
  target_link_libraries(tutti PRIVATE ${TUTTI_NCCL_LIBRARY})
endif()

# Flags for Tutti's own targets; nothing global, nothing that a user of the library inherits.
function(tutti_flags target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wnon-virtual-dtor>)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra>)
  if(CMAKE_UNITY_BUILD)  # a class of a source is taken for one of a header
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
  endif()
  if(TUTTI_WITH_CUDA)  # kernels/launch.h must read the same in every file that includes it
    target_compile_definitions(${target} PRIVATE TUTTI_WITH_CUDA)
  endif()
  if(TUTTI_WERROR)
    set_target_properties(${target} PROPERTIES COMPILE_WARNING_AS_ERROR ON)
  endif()
  if(TUTTI_SANITIZE)
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${TUTTI_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer>)
    target_link_options(${target} PRIVATE -fsanitize=${TUTTI_SANITIZE})
    if(NOT target STREQUAL tutti AND NOT TUTTI_FUZZ)  # what calls the library is sooner compiled than it gains
      target_compile_options(${target} PRIVATE -O0)
    endif()
    if(TUTTI_SANITIZE MATCHES undefined)  # a quarter of the time goes into what AddressSanitizer finds as well
      target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize=null,object-size,vptr>)
    endif()
  endif()
endfunction()
tutti_flags(tutti)
