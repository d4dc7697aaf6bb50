// What is left to do when this process is killed.
#pragma once

#include <sys/types.h>

namespace tutti::launch {

// A process that kills process groups when this one ends without dismissing it. The kernel kills the ranks
// themselves; what they started, as a script does, would go on.
class Warden {
 public:
  Warden();
  // Dismisses it.
  ~Warden();
  Warden(const Warden&) = delete;
  Warden& operator=(const Warden&) = delete;

  void watch(pid_t group);

 private:
  pid_t pid_ = -1;
  int pipe_ = -1;
};

}  // namespace tutti::launch
