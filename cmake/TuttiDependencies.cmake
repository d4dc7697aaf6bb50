# What Tutti links. Each optional dependency sets TUTTI_WITH_<NAME> and adds a row to the closing table.

# tutti_optional(NAME brings found state [why_not]): `state` says what was found, `why_not` why it cannot be used.
function(tutti_optional name brings)
  if(TUTTI_${name} STREQUAL OFF)
    set(found OFF)
    set(state "off")
  elseif(ARGN)
    list(GET ARGN 0 found)
    list(GET ARGN 1 state)
    if(NOT found)
      set(state "not found")
      if(ARGC GREATER 4)
        list(GET ARGN 2 state)
      endif()
      if(TUTTI_${name} STREQUAL ON)
        message(FATAL_ERROR "TUTTI_${name}=ON: ${state}. It brings ${brings}.")
      endif()
    endif()
  endif()
  set(TUTTI_WITH_${name} ${found} PARENT_SCOPE)
  set_property(GLOBAL APPEND PROPERTY TUTTI_SUMMARY "${name}|${found}|${state}|${brings}")
endfunction()

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(nlohmann_json 3.9 REQUIRED)
find_package(ZLIB REQUIRED)

# Of xxHash the header alone, which its packages don't tell CMake of.
find_path(TUTTI_XXHASH_INCLUDE_DIR xxhash.h DOC "Where xxhash.h lies")
mark_as_advanced(TUTTI_XXHASH_INCLUDE_DIR)
if(NOT TUTTI_XXHASH_INCLUDE_DIR)
  message(FATAL_ERROR "No xxhash.h was found. Tutti needs xxHash 0.8 or newer (libxxhash-dev); TUTTI_XXHASH_INCLUDE_DIR says "
    "where it lies.")
endif()

if(NOT TUTTI_BLAS STREQUAL OFF)
  find_package(BLAS QUIET)
endif()
list(JOIN BLAS_LIBRARIES " " blas_libraries)
tutti_optional(BLAS "matrix products at the speed of the machine (libopenblas-dev)" "${BLAS_FOUND}" "${blas_libraries}")

if(NOT TUTTI_MPI STREQUAL OFF)
  set(MPI_CXX_SKIP_MPICXX ON)
  find_package(MPI QUIET COMPONENTS CXX)
endif()
tutti_optional(MPI "ranks on several machines (libopenmpi-dev)" "${MPI_CXX_FOUND}" "MPI ${MPI_CXX_VERSION}")

if(NOT TUTTI_OPENSSL STREQUAL OFF)
  find_package(OpenSSL 3.0 QUIET COMPONENTS Crypto)
endif()
tutti_optional(OPENSSL "encrypted checkpoints (OpenSSL 3.0 or newer: libssl-dev)" "${OPENSSL_FOUND}" "OpenSSL ${OPENSSL_VERSION}")

include(TuttiCuda)
include(TuttiNccl)

if(TUTTI_TOOLS)
  if(NOT TUTTI_GLOO STREQUAL OFF)
    find_package(Gloo CONFIG QUIET)
  endif()
  tutti_optional(GLOO "a peer that tutti-bench measures (libgloo-dev)" "${Gloo_FOUND}" "Gloo ${GLOO_VERSION}")
endif()
