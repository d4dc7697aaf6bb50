#include "comm/shared/backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "tutti/core/error.h"

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
  group_.enter(call, make_signature(call, 0, DType::u8), 0, [](Line&, int) {});
  return {};
}

// Every wait is one of this group, so that a rank that dies over it is noticed.
std::unique_ptr<Backend> SharedBackend::split(int color, int key, const Call& call) {
  const std::vector<std::int32_t> mine{color, key};
  std::vector<std::int32_t> all(2 * ranks());
  std::vector<std::tuple<int, int>> members;  // key, rank
  members.reserve(ranks());
  std::vector<std::int64_t> tokens(ranks());
  all_gather(mine, all, call).wait();

  for (int rank = 0; rank < size(); ++rank) {
    const auto at = 2 * index(rank);
    if (all[at] == color) members.emplace_back(all[at + 1], rank);
  }
  std::sort(members.begin(), members.end());
  const auto me =
      static_cast<int>(std::find(members.begin(), members.end(), std::tuple(key, rank())) - members.begin());
  const auto first = std::get<1>(members.front());
  const auto part_size = static_cast<int>(members.size());

  Segment::Part part{};
  std::unique_ptr<Backend> backend;
  try {
    if (me == 0) part = segment_->make_part(part_size);
    all_gather(std::vector{static_cast<std::int64_t>(part.token)}, tokens, call).wait();
    if (me != 0)
      part.segment = segment_->take_part(static_cast<std::uint64_t>(tokens[index(first)]), me, part_size);
    if (!part.segment) group_.fail(call, Failure::Kind::comm, first, fmt::format("rank {} is gone", first));
    backend = std::make_unique<SharedBackend>(part.segment, me);
  } catch (const CommError&) {
    throw;
  } catch (const std::exception& error) {
    group_.fail(call, Failure::Kind::comm, rank(), fmt::format("rank {}: {}", rank(), error.what()));
  }
  group_.meet(call);
  return backend;
}

}  // namespace tutti::comm
