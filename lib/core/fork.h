// Mutexes of the process in a child that is forked.
#pragma once

#include <pthread.h>

#include <mutex>

namespace tutti {

// A child has the thread that forked it alone: what another one had locked would stay so for ever. Once for each mutex.
// `mutex` is a function that returns it.
template <auto mutex>
void hold_while_forking() {
  ::pthread_atfork([] { mutex().lock(); }, [] { mutex().unlock(); }, [] { mutex().unlock(); });
}

}  // namespace tutti
