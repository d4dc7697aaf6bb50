#include "comm/shared/backend.h"

#include <algorithm>
#include <tuple>
#include <vector>

namespace tutti::comm {

SharedBackend::SharedBackend(std::shared_ptr<Segment> segment, int rank)
    : segment_(std::move(segment)),
      group_(segment_, rank),
      places_(index(size())),
      from_(index(size())),
      inputs_(index(size())),
      outputs_(index(size())) {}

void SharedBackend::join(std::chrono::milliseconds timeout) { barrier({"join", 0, timeout, nullptr}).wait(); }

Work SharedBackend::barrier(const Call& call) {
  group_.enter(call, make_signature(call, 0, DType::u8), [](Line&, int) {});
  return {};
}

std::unique_ptr<Backend> SharedBackend::split(int color, int key, const Call& call) {
  const std::vector<std::int32_t> mine{color, key};
  std::vector<std::int32_t> all(2 * static_cast<std::size_t>(size()));
  all_gather(mine, all, call).wait();

  std::vector<std::tuple<int, int>> members;  // key, rank
  for (int rank = 0; rank < size(); ++rank) {
    const auto at = 2 * static_cast<std::size_t>(rank);
    if (all[at] == color) members.emplace_back(all[at + 1], rank);
  }
  std::sort(members.begin(), members.end());
  const auto me = std::find(members.begin(), members.end(), std::tuple(key, rank()));
  return segment_->join_part(call.sequence, color, static_cast<int>(me - members.begin()),
                             static_cast<int>(members.size()), call.timeout);
}

}  // namespace tutti::comm
