// The file in /dev/shm that the ranks of a job map.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace tutti::comm {

// Each rank holds a lock on the byte of its number, which the kernel drops when the process ends, however it
// does. These are locks of the process: a child that it forks does not keep them.
class ShmFile {
 public:
  // A file without a name yet, of `bytes` bytes, of which the first `committed` are sure to have memory.
  static ShmFile create(const std::string& job, std::size_t bytes, std::size_t committed);
  // The file of `job`, if a living rank 0 has published it.
  static std::optional<ShmFile> open(const std::string& job);

  // Takes away the names that dead jobs of this user have left. For a process that is no rank: closing a file
  // drops the locks that the process itself has on it.
  static void remove_stale() noexcept;

  ShmFile(ShmFile&& other) noexcept;
  ShmFile& operator=(ShmFile&& other) noexcept;
  ~ShmFile();

  // Locks the byte of `rank`; false where another process holds it.
  bool lock(int rank) const;
  bool is_locked_by_another(int rank) const;

  // Gives the file its name, at once and complete. Throws ConfigError where another job has it.
  void publish();
  // Takes the name away, if this file still has it.
  void unlink();
  // Lets this process take the name away where rank 0, whose duty it was, is dead.
  void inherit_name();

  // Makes sure that these bytes have memory; false where there is none left.
  bool commit(std::size_t offset, std::size_t bytes) const;
  // Gives the memory of these bytes back.
  void release(std::size_t offset, std::size_t bytes) const noexcept;

  std::size_t bytes() const;
  // The first bytes of the file.
  void read(void* data, std::size_t bytes) const;
  // Maps all of it.
  std::byte* map() const;

 private:
  ShmFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}

  int descriptor_;
  std::string path_;
  bool published_ = false;
};

}  // namespace tutti::comm
