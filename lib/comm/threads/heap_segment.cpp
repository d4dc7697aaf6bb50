#include "comm/threads/heap_segment.h"

#include <cstring>

#include "comm/shared/backend.h"
#include "kernels/memory.h"

namespace tutti::comm {

HeapSegment::HeapSegment(int size) : Segment(size) {
  set_base(static_cast<std::byte*>(kernels::launch<kernels::Allocate>(Device::cpu(), layout().bytes())));
  std::memset(base(), 0, layout().control_bytes());
}

HeapSegment::~HeapSegment() { kernels::Free::cpu(base()); }

std::shared_ptr<void> HeapSegment::allocate(std::size_t bytes) {
  return {kernels::launch<kernels::Allocate>(Device::cpu(), bytes), kernels::Free::cpu};
}

std::unique_ptr<Backend> HeapSegment::join_part(std::uint64_t sequence, int color, int rank, int size,
                                                std::chrono::milliseconds) {
  std::scoped_lock lock(mutex_);
  const auto found = parts_.try_emplace({sequence, color}).first;
  Part& part = found->second;
  if (!part.segment) part = {std::make_shared<HeapSegment>(size), size};
  auto segment = part.segment;
  if (--part.members_to_come == 0) parts_.erase(found);
  return std::make_unique<SharedBackend>(std::move(segment), rank);
}

}  // namespace tutti::comm
