# How the tests run under a sanitizer.
set(slowdown 4)  # of what a test may take, and may wait for

# What the programs of Open MPI do that is not ours: the options for those that mpirun starts.
if(TUTTI_SANITIZE MATCHES thread)
  set(sanitizer_options TSAN_OPTIONS=suppressions=${CMAKE_CURRENT_LIST_DIR}/open_mpi.supp)
else()
  # It leaves memory behind in plugins that are unloaded by the end, where no suppression can name them.
  set(sanitizer_options ASAN_OPTIONS=detect_leaks=0)
endif()

# The thread sanitizers of gcc before 14 and clang before 18 end with "unexpected memory mapping" where the kernel
# places programs with more than 28 random bits. Without randomisation they run anywhere.
if(TUTTI_SANITIZE MATCHES thread AND EXISTS /proc/sys/vm/mmap_rnd_bits)
  file(READ /proc/sys/vm/mmap_rnd_bits random_bits)
  if(random_bits GREATER 28)
    execute_process(COMMAND setarch -R true RESULT_VARIABLE refused OUTPUT_QUIET ERROR_QUIET)
    if(refused)
      message(WARNING "The thread sanitizer may need `sysctl vm.mmap_rnd_bits=28`; `setarch -R` is not permitted here")
    else()
      set(CMAKE_CROSSCOMPILING_EMULATOR setarch -R)
    endif()
  endif()
endif()
