// One source, several instruction sets: the loader picks the clone that the processor can run.
#pragma once

// clang 14 cannot clone templates, and sanitizers' runtimes are not up yet when the loader chooses.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define TUTTI_MULTIVERSION [[gnu::target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")]]
#else
#define TUTTI_MULTIVERSION
#endif
