// What a World tells of the cores of its machine.
#pragma once

namespace tutti {

// Cores that this process may use.
int usable_cores();

// TUTTI_THREADS, or 0 where it is not set. Throws ConfigError where it is wrong.
int threads_of_environment();

// As many processes have the cores of this one, and as many ranks are threads of it: each takes its share of threads, unless
// the user said otherwise.
void share_cores(int processes);
void share_process(int threads);

}  // namespace tutti
