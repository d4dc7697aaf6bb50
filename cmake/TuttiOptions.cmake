# Every option of the build. Embedded in another project, Tutti builds the library and nothing else.

option(TUTTI_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(TUTTI_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(TUTTI_TOOLS "Build tutti-run and tutti-bench" ${PROJECT_IS_TOP_LEVEL})
option(TUTTI_INSTALL "Let `cmake --install` install the library" ${PROJECT_IS_TOP_LEVEL})
option(TUTTI_FUZZ "Build the fuzz targets of tests/fuzz with libFuzzer (clang; the preset fuzz)" OFF)
option(TUTTI_WERROR "Treat warnings as errors" OFF)
set(TUTTI_SANITIZE "" CACHE STRING "Sanitizers for every target of Tutti: 'address,undefined' or 'thread'")

# AUTO uses what is found, ON fails without it, OFF does not look.
foreach(dependency IN ITEMS MPI CUDA NCCL BLAS OPENSSL GLOO)
  set(TUTTI_${dependency} AUTO CACHE STRING "Use ${dependency}: AUTO, ON or OFF")
  set_property(CACHE TUTTI_${dependency} PROPERTY STRINGS AUTO ON OFF)
  if(dependency STREQUAL CUDA AND TUTTI_CUDA STREQUAL SIMULATED)  # the kernels run on the CPU: see tests/simt
    continue()
  endif()
  if(NOT TUTTI_${dependency} MATCHES "^(AUTO|ON|OFF)$")
    message(FATAL_ERROR "TUTTI_${dependency} must be AUTO, ON or OFF, not '${TUTTI_${dependency}}'")
  endif()
endforeach()

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
