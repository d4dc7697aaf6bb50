/// \file
/// How many threads an operation on the CPU is done by.
#pragma once

namespace tutti {

/// Threads that an operation on the CPU uses, with the one that calls it. All of a process share them: where two threads call
/// operations at once, one of them has the others' help. No result depends on the number, not in its last bit.
///
/// It is what `set_num_threads` said last; else the environment variable `TUTTI_THREADS`; else the cores that the process may
/// use (its affinity, and its control group's quota), divided by the ranks that its World says have the same.
/// \throws ConfigError where `TUTTI_THREADS` isn't a whole number from 1 to 1024.
int num_threads();

/// From the next operation on. \throws ConfigError unless 1 <= count <= 1024.
void set_num_threads(int count);

}  // namespace tutti
