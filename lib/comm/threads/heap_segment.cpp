#include "comm/threads/heap_segment.h"

#include <cstring>

#include "kernels/memory.h"

namespace tutti::comm {

HeapSegment::HeapSegment(int size) : Segment(size) {
  set_base(static_cast<std::byte*>(kernels::launch<kernels::Allocate>(Device::cpu(), layout().bytes())));
  std::memset(base(), 0, layout().control_bytes());
}

HeapSegment::~HeapSegment() { kernels::Free::cpu(base(), layout().bytes()); }

std::shared_ptr<void> HeapSegment::allocate(std::size_t bytes) {
  return {kernels::launch<kernels::Allocate>(Device::cpu(), bytes),
          [bytes](void* data) { kernels::Free::cpu(data, bytes); }};
}

Segment::Part HeapSegment::make_part(int size) {
  auto segment = std::make_shared<HeapSegment>(size);
  std::scoped_lock lock(mutex_);
  std::erase_if(parts_, [](const auto& part) { return part.second.expired(); });
  const auto token = parts_.empty() ? 0 : parts_.rbegin()->first + 1;
  parts_.emplace(token, segment);
  return {std::move(segment), token};
}

std::shared_ptr<Segment> HeapSegment::take_part(std::uint64_t token, int, int) {
  std::scoped_lock lock(mutex_);
  const auto part = parts_.find(token);
  return part == parts_.end() ? nullptr : part->second.lock();
}

}  // namespace tutti::comm
