// A segment in the memory of one process, where every rank reaches every buffer.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "comm/shared/segment.h"

namespace tutti::comm {

class HeapSegment final : public Segment {
 public:
  explicit HeapSegment(int size);
  ~HeapSegment() override;

  std::string_view name() const override { return "threads"; }
  std::optional<std::uint64_t> locate(const void* data, std::size_t) const override {
    return reinterpret_cast<std::uintptr_t>(data);
  }
  std::byte* at(std::uint64_t place) const override { return reinterpret_cast<std::byte*>(place); }
  std::shared_ptr<void> allocate(std::size_t bytes) override;
  bool alive(int) const override { return true; }
  Part make_part(int size) override;
  std::shared_ptr<Segment> take_part(std::uint64_t token, int rank, int size) override;

 private:
  // Rank 0 of each part keeps it alive until all have it.
  std::mutex mutex_;
  std::map<std::uint64_t, std::weak_ptr<Segment>> parts_;
};

}  // namespace tutti::comm
