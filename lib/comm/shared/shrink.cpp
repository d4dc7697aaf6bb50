// The ranks that are left of a group form a new one.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <thread>

#include "comm/deadline.h"
#include "comm/shared/backend.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

// Ranks may die at any moment of it, so they decide in rounds. In each, a rank waits until every other one has entered
// the round too or is gone, and proposes the ones that have; the first to put its name into one word has decided. The
// members then attach to a segment that the first of them makes, and if one is lost or late before all have, all enter
// the next round.
class Shrinking {
 public:
  Shrinking(Group& group, const Backend::Call& call) : group_(group), call_(call) {}

  std::unique_ptr<Backend> run() {
    std::unique_ptr<Backend> result;
    // A round may have been decided without this rank: then it enters it, and is told. One that has given it a group is over.
    auto round = std::max(decided_round(), 1u);
    if (survivor(group_.rank()).attached.load() >= round && header().outcome.load() == formed_in(round))
      ++round;
    for (; !result; ++round) result = form(round, decide(round));
    return result;
  }

 private:
  // Each wait has the whole deadline: who decides at the end of one must still find the others.
  template <typename Condition>
  void wait(const Condition& ready) const {
    const auto deadline = deadline_after(call_.timeout);
    while (!ready() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
  }

  Header& header() const { return group_.layout().header(group_.segment().base()); }
  Survivor& survivor(int rank) const { return group_.layout().slot(group_.segment().base(), rank).survivor; }
  // The outcome of a round that ended in a group.
  static std::uint64_t formed_in(std::uint32_t round) { return std::uint64_t{round} << 32 | 1; }
  bool entered(int rank, std::uint32_t round) const { return survivor(rank).round.load() >= round; }
  std::uint32_t decided_round() const { return static_cast<std::uint32_t>(header().decision.load() >> 32); }

  std::vector<int> decide(std::uint32_t round) const {
    survivor(group_.rank()).round.store(round);
    wait([&] {
      if (decided_round() >= round) return true;
      return std::all_of(group_.peers().begin(), group_.peers().end(),
                         [&](int peer) { return entered(peer, round) || group_.gone(peer); });
    });
    propose(round);
    const auto decision = header().decision.load();
    if (decision >> 32 != round) throw_left_out();
    return members_of(static_cast<int>(decision & 0xffff'ffff) - 1, round);
  }

  void propose(std::uint32_t round) const {
    auto before = header().decision.load();
    if (before >> 32 >= round) return;
    auto& mine = survivor(group_.rank()).members[round % 2];
    for (auto& word : mine) word.store(0);
    for (int rank = 0; rank < group_.size(); ++rank) {
      if (rank == group_.rank() || (entered(rank, round) && !group_.gone(rank)))
        mine[rank / 64].fetch_or(std::uint64_t{1} << rank % 64);
    }
    header().decision.compare_exchange_strong(
        before, std::uint64_t{round} << 32 | static_cast<std::uint32_t>(group_.rank() + 1));
  }

  std::vector<int> members_of(int decider, std::uint32_t round) const {
    std::vector<int> members;
    for (int rank = 0; rank < group_.size(); ++rank) {
      if (survivor(decider).members[round % 2][rank / 64].load() >> rank % 64 & 1) members.push_back(rank);
    }
    if (!std::binary_search(members.begin(), members.end(), group_.rank())) throw_left_out();
    return members;
  }

  // Null where a member was lost, or came too late.
  std::unique_ptr<Backend> form(std::uint32_t round, const std::vector<int>& members) const {
    const auto me =
        static_cast<int>(std::find(members.begin(), members.end(), group_.rank()) - members.begin());
    auto segment = segment_of(round, members, me);
    if (!segment) return nullptr;
    auto backend = std::make_unique<SharedBackend>(std::move(segment), me);
    survivor(group_.rank()).attached.store(round);
    const auto attached = [&](int rank) { return survivor(rank).attached.load() >= round; };
    const auto complete = [&] { return std::all_of(members.begin(), members.end(), attached); };
    wait([&] {
      const bool lost = std::any_of(members.begin(), members.end(), [&](int rank) {
        return !attached(rank) && (entered(rank, round + 1) || group_.gone(rank));
      });
      return lost || complete() || header().outcome.load() >> 32 >= round;
    });
    return formed(round, complete()) ? std::move(backend) : nullptr;
  }

  // At its deadline one rank may miss a member that another one still sees come: the first to say decides.
  bool formed(std::uint32_t round, bool complete) const {
    auto outcome = header().outcome.load();
    const auto mine = std::uint64_t{round} << 32 | (complete ? 1 : 0);
    if (outcome >> 32 < round && header().outcome.compare_exchange_strong(outcome, mine)) outcome = mine;
    return outcome == formed_in(round);
  }

  std::shared_ptr<Segment> segment_of(std::uint32_t round, const std::vector<int>& members, int me) const {
    const auto size = static_cast<int>(members.size());
    Survivor& first = survivor(members.front());
    if (me == 0) {
      auto part = group_.segment().make_part(size);
      first.offered.store(0);  // while the token changes it is nobody's
      first.token.store(part.token);
      first.offered.store(round);
      return part.segment;
    }
    const auto offered = [&] { return first.offered.load() >= round; };
    wait([&] { return offered() || entered(members.front(), round + 1) || group_.gone(members.front()); });
    // This rank may have stood still: then the others are in a later round, and so may the token be.
    if (first.offered.load() != round) return nullptr;
    const auto token = first.token.load();
    if (first.offered.load() != round) return nullptr;
    return group_.segment().take_part(token, me, size);
  }

  [[noreturn]] void throw_left_out() const {
    throw CommError(fmt::format("{} #{}: the other ranks have gone on without rank {}, which came too late",
                                call_.name, call_.sequence, group_.rank()),
                    call_.name, call_.sequence, group_.rank());
  }

  Group& group_;
  const Backend::Call& call_;
};

}  // namespace

std::unique_ptr<Backend> SharedBackend::shrink(const Call& call) { return Shrinking(group_, call).run(); }

}  // namespace tutti::comm
