# NCCL joins what CUDA computes. Looked for beside the toolkit first, as both are often installed together;
# `nccl_why_not` says what is amiss.
set(TUTTI_NCCL_MINIMUM 2.19)  # ncclCommRegister, ncclMemAlloc

set(nccl_found OFF)
set(nccl_why_not "TUTTI_NCCL=OFF")
if(NOT TUTTI_NCCL STREQUAL OFF)
  if(NOT TUTTI_WITH_CUDA)
    set(nccl_why_not "it needs CUDA: ${cuda_why_not}")
  else()
    find_path(TUTTI_NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} DOC "Where nccl.h lies")
    find_library(TUTTI_NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} DOC "NCCL's shared library")
    mark_as_advanced(TUTTI_NCCL_INCLUDE_DIR TUTTI_NCCL_LIBRARY)
    if(NOT TUTTI_NCCL_INCLUDE_DIR OR NOT TUTTI_NCCL_LIBRARY)
      set(nccl_why_not "no nccl.h and libnccl.so were found (libnccl-dev)")
    else()
      file(STRINGS ${TUTTI_NCCL_INCLUDE_DIR}/nccl.h lines REGEX "^#define NCCL_(MAJOR|MINOR|PATCH) ")
      string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3" nccl_version "${lines}")
      if(nccl_version VERSION_LESS TUTTI_NCCL_MINIMUM)
        set(nccl_why_not "NCCL ${nccl_version} is older than ${TUTTI_NCCL_MINIMUM}")
      else()
        set(nccl_found ON)
      endif()
    endif()
  endif()
endif()
tutti_optional(NCCL "collectives between GPUs (NCCL ${TUTTI_NCCL_MINIMUM} or newer)" "${nccl_found}" "NCCL ${nccl_version}"
  "${nccl_why_not}")
