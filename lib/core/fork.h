// Mutexes of the process in a child that is forked.
#pragma once

#include <pthread.h>

#include <mutex>

namespace tutti {

// A child has the thread that forked it alone: what another one had locked would stay so for ever, and what another one was
// about to make would never be made. So what has a mutex is made by the linker (constinit), and the loader calls this.
// `mutex` is a function that returns it.
template <auto mutex>
bool hold_while_forking() {
  return ::pthread_atfork([] { mutex().lock(); }, [] { mutex().unlock(); }, [] { mutex().unlock(); }) == 0;
}

}  // namespace tutti
