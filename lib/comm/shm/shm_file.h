// The memory that the ranks of a job map.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace tutti::comm {

// Memory of the kernel's without a name (memfd), so that it goes with its last user, however that ends; /dev/shm,
// small in containers, is not asked for it. Others of this user reach it through the descriptors of a process
// that has it open, other users do not. Its size is sealed: nobody can cut it off under those who have mapped it.
//
// Each rank holds a lock on the byte of its number, which the kernel drops when the process ends, however it
// does. These are locks of the process: a child that it forks does not keep them.
class ShmFile {
 public:
  // Of `bytes` bytes, of which the first `committed` are sure to have memory. Throws ConfigError where there is not
  // so much.
  static ShmFile create(std::size_t bytes, std::size_t committed);
  // What `path` leads to, through links too; nothing where there is nothing, or where the process that had it is gone.
  static std::optional<ShmFile> open(const std::string& path);

  ShmFile(ShmFile&& other) noexcept;
  ShmFile& operator=(ShmFile&& other) noexcept;
  ~ShmFile();

  // Where another process finds it while this one has it open; as a path, and as a number.
  std::string path() const { return path_of(token()); }
  std::uint64_t token() const;
  static std::string path_of(std::uint64_t token);

  // Locks the byte of `rank`; false where another process holds it.
  bool lock(int rank) const;
  bool is_locked_by_another(int rank) const;

  // Makes sure that these bytes have memory; false where there is none left.
  bool commit(std::size_t offset, std::size_t bytes) const;
  // Gives the memory of these bytes back.
  void release(std::size_t offset, std::size_t bytes) const noexcept;

  std::size_t bytes() const;
  // The first bytes; false where there are not so many.
  bool read(void* data, std::size_t bytes) const;
  // Maps all of it.
  std::byte* map() const;

 private:
  explicit ShmFile(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

// Bytes that this process could take now without harm to others on this machine or in this container.
std::size_t available_memory();

}  // namespace tutti::comm
