# What `cmake --install` lays down: the library, its headers, a CMake package and a pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tutti)
install(TARGETS tutti EXPORT tutti ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT tutti NAMESPACE tutti:: FILE tuttiTargets.cmake DESTINATION ${config_dir})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/tuttiConfig.cmake.in
  ${PROJECT_BINARY_DIR}/tuttiConfig.cmake INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tuttiConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tuttiConfig.cmake ${PROJECT_BINARY_DIR}/tuttiConfigVersion.cmake
  DESTINATION ${config_dir})

# A static library alone: everything that it needs stands under Libs, so that plain --libs links.
set(tutti_pc_libs -lfmt -lz -pthread)
if(TUTTI_WITH_BLAS)
  list(APPEND tutti_pc_libs ${BLAS_LIBRARIES})
endif()
if(TUTTI_WITH_MPI)
  list(APPEND tutti_pc_libs ${MPI_CXX_LIBRARIES})
endif()
if(TUTTI_WITH_OPENSSL)
  list(APPEND tutti_pc_libs ${OPENSSL_CRYPTO_LIBRARY})
endif()
if(TUTTI_WITH_CUDA AND NOT TUTTI_CUDA STREQUAL SIMULATED)
  list(APPEND tutti_pc_libs -L${CUDAToolkit_LIBRARY_DIR} -lcublasLt -lcudart_static -ldl -lrt)
endif()
if(TUTTI_WITH_NCCL)
  list(APPEND tutti_pc_libs ${TUTTI_NCCL_LIBRARY})
endif()
list(JOIN tutti_pc_libs " " tutti_pc_libs)
configure_file(${PROJECT_SOURCE_DIR}/cmake/tutti.pc.in ${PROJECT_BINARY_DIR}/tutti.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tutti.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
