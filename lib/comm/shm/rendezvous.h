// How the ranks of a job, which know its name only, find the memory that rank 0 has made.
#pragma once

#include <optional>
#include <string>

#include "comm/shm/shm_file.h"

namespace tutti::comm {

// A link in /dev/shm, from tutti-<job> to the descriptor of rank 0's process; it is taken away when all have arrived.
class Rendezvous {
 public:
  explicit Rendezvous(const std::string& job);
  Rendezvous(Rendezvous&&) = default;
  Rendezvous& operator=(Rendezvous&&) = delete;
  ~Rendezvous() { withdraw(); }

  // For rank 0. Throws ConfigError where a running job has the name.
  void publish(const ShmFile& file);
  // For the others: what a living rank 0 has published, if it has.
  std::optional<ShmFile> find();
  // Takes the link away, if it is this rank's duty.
  void withdraw() noexcept;
  // Makes it this rank's duty where rank 0 is dead.
  void inherit(const ShmFile& file);

  // Takes away the links that dead jobs of this user have left. For a process that is no rank: closing a file
  // drops the locks that the process itself has on it.
  static void remove_stale() noexcept;

 private:
  std::string path_;
  std::string target_;  // of the link that was published or found
  bool ours_ = false;
};

}  // namespace tutti::comm
