# How the tests run under a sanitizer.
set(slowdown 4)  # of what a test may take, and may wait for

# These take most of the time here, and others like them go the same ways through the code. Without sanitizers all are run.
set(left_out_tests
  "*/MpiConformance.*/1by1024" "*/MpiConformance.*/4by1024" "*/MpiConformance.*/5by1024"
  "*/MpiConformance.*/4by0" "*/MpiConformance.*/5by0"
  "*/MpiConformance.*/4by2" "*/MpiConformance.*/6by2" "*/MpiConformance.*/6by3" "*/MpiConformance.*/8by4"
  "*/MpiConformance.*/10by2" "Mpi.ReducesInItsOwnOrderWhereAsked" "TuttiRun.SharesTheCoresUnlessToldOtherwise"
  "EncryptedImport.TakesManyTensors" "ManifestTest.ManyTensorsInManyFilesAreLittleText"
  "*MpiFaults.*/Sharing0" "*MpiFaults.*/Sharing1024"
  "*NamespacesOf.Conform/1_1_1" "*NamespacesOf.Conform/3_2"
  "*Bits.AreThoseWithoutSharding/gpt" "*Bits.AreThoseOfOneRank/gpt_*"
  "MnistExampleOnRealDigits.*" "SafetensorsFile.RefusesToWriteWhatItWouldNotRead"
  "*Resharding.GivesTheSameStateToAnyWorld/1" "*Resharding.GivesTheSameStateToAnyWorld/3")
if(TUTTI_SANITIZE MATCHES thread)  # what one thread does
  list(APPEND left_out_tests
    "EncryptedImport.DamageIsFound" "EncryptionFaults.*" "EncryptionInterop.*" "FaultManifestPieces.*" "*FaultParser*" "PlanTest.*"
    "SafetensorsFile.*")
endif()
if(TUTTI_SANITIZE MATCHES undefined)  # it opens a pipe to find out whether there is memory where an object is said to be
  list(APPEND left_out_tests "FaultStorage.Fault54_NoMoreDescriptors")
endif()
list(JOIN left_out_tests ":" filter)
set(filter "-${filter}")

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
