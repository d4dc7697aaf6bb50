// A segment that the processes of a job map.
#pragma once

#include <memory>

#include "comm/shared/segment.h"
#include "comm/shm/arena.h"
#include "comm/shm/shm_file.h"

namespace tutti::comm {

// The layout, then an arena for each rank, as long as the machine's memory: an address range costs nothing
// until it is committed, and every rank has mapped all arenas from the start, so that whatever a rank
// allocates can be reached by the others at once.
class ShmSegment final : public Segment, public std::enable_shared_from_this<ShmSegment> {
 public:
  // Of rank 0.
  static std::shared_ptr<ShmSegment> create(int size);
  // Of the others. Throws ConfigError for memory of another version, of another size, or in which another process is
  // this rank.
  static std::shared_ptr<ShmSegment> attach(ShmFile file, int rank, int size);

  ShmSegment(ShmFile file, int rank, int size);
  ~ShmSegment() override;

  const ShmFile& file() const { return file_; }

  std::string_view name() const override { return "shm"; }
  std::optional<std::uint64_t> locate(const void* data, std::size_t bytes) const override;
  std::byte* at(std::uint64_t place) const override { return base() + place; }
  std::shared_ptr<void> allocate(std::size_t bytes) override;
  bool alive(int rank) const override;
  Part make_part(int size) override;
  std::shared_ptr<Segment> take_part(std::uint64_t token, int rank, int size) override;

 private:
  ShmFile file_;
  std::size_t bytes_;
  Arena arena_;
};

}  // namespace tutti::comm
