// A segment that the processes of a job map.
#pragma once

#include <memory>
#include <string>

#include "comm/shared/segment.h"
#include "comm/shm/arena.h"
#include "comm/shm/shm_file.h"

namespace tutti::comm {

// The layout, then an arena for each rank, as long as the machine's memory: an address range costs nothing
// until it is committed, and every rank has mapped all arenas from the start, so that whatever a rank
// allocates can be reached by the others at once.
class ShmSegment final : public Segment, public std::enable_shared_from_this<ShmSegment> {
 public:
  // Rank 0 creates, the others attach once it has.
  static std::shared_ptr<ShmSegment> create(const std::string& job, int size);
  static std::shared_ptr<ShmSegment> attach(const std::string& job, int rank, int size,
                                            std::chrono::milliseconds timeout);

  ShmSegment(const std::string& job, ShmFile file, int rank, int size);
  ~ShmSegment() override;

  // When all have attached, the file needs no name any more.
  void drop_name() { file_.unlink(); }
  // For a rank whose job broke up while its ranks arrived: see to it that its name goes.
  void inherit_name() { file_.inherit_name(); }

  std::string_view name() const override { return "shm"; }
  std::optional<std::uint64_t> locate(const void* data, std::size_t bytes) const override;
  std::byte* at(std::uint64_t place) const override { return base() + place; }
  std::shared_ptr<void> allocate(std::size_t bytes) override;
  bool alive(int rank) const override;
  std::unique_ptr<Backend> join_part(std::uint64_t sequence, int color, int rank, int size,
                                     std::chrono::milliseconds timeout) override;

 private:
  std::string job_;
  ShmFile file_;
  std::size_t bytes_;
  Arena arena_;
};

}  // namespace tutti::comm
