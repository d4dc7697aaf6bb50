#include "comm/shared/group.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <thread>

#include "comm/deadline.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// The first sleep ends even if the ring was missed, see Doorbell; the others, to look whether a rank died.
constexpr microseconds first_nap(100);
constexpr microseconds longest_nap(10'000);

template <std::size_t n>
void copy_text(char (&to)[n], std::string_view from) {
  const std::size_t length = std::min(n - 1, from.size());
  std::memcpy(to, from.data(), length);
  to[length] = '\0';
}

}  // namespace

Group::Group(std::shared_ptr<Segment> segment, int rank)
    : segment_(std::move(segment)),
      layout_(segment_->layout()),
      base_(segment_->base()),
      rank_(rank),
      size_(layout_.size()),
      // A line travels between cores within the pauses; where ranks share a core, it cannot.
      pauses_(size_ <= ::sysconf(_SC_NPROCESSORS_ONLN) ? 256 : 0),
      seen_(static_cast<std::size_t>(size_)) {
  for (int i = 1; i < size_; ++i) peers_.push_back((rank_ + i) % size_);
  slot(rank).pid.store(::getpid());
}

Group::~Group() {
  slot(rank_).left.store(true);
  for (const int peer : peers_) slot(peer).doorbell.wake();
}

std::uint32_t Group::post() {
  slot(rank_).posted.store(++phase_, std::memory_order_release);
  for (const int peer : peers_) ring(peer);
  return phase_;
}

void Group::await(const Call& call, std::uint32_t phase) {
  const auto arrived = [&](int peer) { return reached(peer, phase); };
  for (const int peer : peers_)
    wait(
        call, [&] { return arrived(peer); }, peers_, arrived);
}

// A rank that looks for a line as soon as it has written its own takes it away from the peer that is writing it, and gets
// the data only after the line. One that looks a little later, when both have arrived, gets them at once. How much later
// depends on where the cores are, and those of virtual machines move: the pauses adapt.
void Group::let_arrive(std::size_t bytes_behind) {
  constexpr std::size_t few = 4 * cache_line;
  constexpr int most_pauses = 3, enough = 32;
  Patience& mine = patience_[bytes_behind <= cache_line ? 0 : bytes_behind <= few ? 1 : 2];
  for (int i = 0; i < mine.pauses; ++i) pause();
  for (const int peer : peers_) {
    const std::byte* data = layout_.small(base_, peer, rank_, turn_);
    for (std::size_t i = 0; bytes_behind <= few && i < bytes_behind; i += cache_line)
      __builtin_prefetch(data + i);
  }
  // In time four times of five is best.
  mine.score += heard(peers_.front()).turn.load(std::memory_order_relaxed) == turn_ ? -1 : 4;
  if (std::abs(mine.score) >= enough)
    mine = {std::clamp(mine.pauses + (mine.score > 0 ? 1 : -1), 0, most_pauses), 0};
}

int Group::lost_rank(const std::vector<int>& peers, const RankCondition& arrived) const {
  for (const int rank : peers) {
    const auto left = [&] { return slot(rank).left.load(); };
    const bool ended = left() || (slot(rank).pid.load() != 0 && !segment_->alive(rank));
    // One that arrived, and left since it was asked whether it has, has ended too.
    if (ended && !(left() && arrived(rank))) return rank;
  }
  return -1;
}

void Group::wait_slowly(const Call& call, const Condition& ready, const std::vector<int>& peers,
                        const RankCondition& arrived) {
  if (!deadline_) {
    deadline_ = deadline_after(call.timeout);
    for (const int peer : peers_) seen_[static_cast<std::size_t>(peer)] = {slot(peer).looks.load(), {}};
  }
  struct AtEnd {
    Slot& slot;
    ~AtEnd() { slot.waits_for.store(0); }
  } const at_end{slot(rank_)};
  for (auto nap = first_nap;; nap = longest_nap) {
    // Looked at first, and the condition last: what a rank posted before it was lost still counts.
    const int lost = lost_rank(peers, arrived);
    const bool late = Clock::now() >= *deadline_;
    if (ready()) return;
    if (failure().state.load(std::memory_order_acquire) != Failure::none) raise(call);
    if (lost >= 0) {
      fail(call, Failure::Kind::comm, lost,
           slot(lost).left.load() ? fmt::format("rank {} has left the group", lost)
                                  : fmt::format("rank {} died (process {})", lost, slot(lost).pid.load()));
    }
    look_around(peers, arrived);
    if (late) {
      std::vector<int> absent;
      std::copy_if(peers.begin(), peers.end(), std::back_inserter(absent), std::not_fn(arrived));
      if (absent.empty()) return;
      for (int& rank : absent) rank = who_keeps(rank, call.timeout);
      std::sort(absent.begin(), absent.end());
      absent.erase(std::unique(absent.begin(), absent.end()), absent.end());
      fail(call, Failure::Kind::timeout, absent.front(),
           fmt::format("{} {} not arrived within {} ms", absent.size() == 1 ? "rank" : "ranks",
                       fmt::format("{} {}", fmt::join(absent, ", "), absent.size() == 1 ? "has" : "have"),
                       call.timeout.count()));
    }
    const auto left = std::chrono::ceil<microseconds>(*deadline_ - Clock::now());
    slot(rank_).doorbell.sleep(std::clamp(left, microseconds(1), nap), [&] {
      return ready() || failure().state.load(std::memory_order_acquire) != Failure::none;
    });
  }
}

void Group::look_around(const std::vector<int>& peers, const RankCondition& arrived) {
  const auto absent = std::find_if_not(peers.begin(), peers.end(), arrived);
  slot(rank_).waits_for.store(absent == peers.end() ? 0 : *absent + 1);
  slot(rank_).looks.fetch_add(1);
  for (const int peer : peers_) {
    auto& seen = seen_[static_cast<std::size_t>(peer)];
    const std::uint32_t looks = slot(peer).looks.load();
    if (looks != seen.looks) seen = {looks, Clock::now()};
  }
}

int Group::who_keeps(int rank, milliseconds timeout) const {
  int last = rank;
  for (int steps = 0; steps < size_; ++steps) {
    const int next = slot(last).waits_for.load() - 1;
    // A rank that was stopped while it waited still says so, but no longer looks.
    const bool looks = Clock::now() - seen_[static_cast<std::size_t>(last)].changed < timeout / 2;
    if (next < 0 || !looks) return last;
    if (next == rank_) break;
    last = next;
  }
  return rank;  // they wait for each other, or for this one
}

void Group::check_signatures(const Call& call, const Signature& mine) {
  const auto announced = [&](int rank) -> const Signature& {
    return rank == rank_ ? mine : heard(rank).signature;
  };
  // The odd one out is the rank at fault: who differs from what most ranks call, rank 0 deciding a tie.
  int best = 0, most = 0;
  for (int candidate = 0; candidate < size() && 2 * most <= size(); ++candidate) {
    int votes = 0;
    for (int rank = 0; rank < size(); ++rank) votes += announced(rank).matches(announced(candidate)) ? 1 : 0;
    if (votes > most) most = votes, best = candidate;
  }
  int odd = 0;
  while (announced(odd).matches(announced(best))) ++odd;
  const std::string text = fmt::format("rank {} called {}, rank {} called {}", odd, announced(odd).str(),
                                       best, announced(best).str());
  record(call, Failure::Kind::comm, odd, text);
  // Every rank sees the same signatures, so each says so under the name of its own call.
  throw CommError(fmt::format("{} #{}: {}", call.name, call.sequence, text), call.name, call.sequence, odd);
}

void Group::record(const Call& call, Failure::Kind kind, int rank, std::string_view text) {
  std::uint32_t expected = Failure::none;
  if (!failure().state.compare_exchange_strong(expected, Failure::being_written)) return;
  failure().kind = kind;
  failure().rank = rank;
  failure().sequence = call.sequence;
  copy_text(failure().collective, call.name);
  copy_text(failure().text, text);
  failure().state.store(Failure::written, std::memory_order_release);
  for (int peer = 0; peer < size(); ++peer) slot(peer).doorbell.wake();
}

void Group::fail(const Call& call, Failure::Kind kind, int rank, const std::string& text) {
  record(call, kind, rank, text);
  raise(call);
}

void Group::abort(std::string_view reason) {
  const Call call{"abort", 0, {}, nullptr};
  char text[sizeof(Failure::text)];  // said where there is no memory too
  const auto end = fmt::format_to_n(text, sizeof text, "rank {} aborted the group: {}", rank_, reason).out;
  record(call, Failure::Kind::comm, rank_, {text, end});
}

void Group::raise(const Call& call) const {
  // Whoever writes the record may die over it.
  for (int i = 0; i < 100 && failure().state.load(std::memory_order_acquire) != Failure::written; ++i) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  const bool readable = failure().state.load(std::memory_order_acquire) == Failure::written;
  const std::string_view collective = readable ? failure().collective : "";
  const bool elsewhere =
      readable && collective != "abort" && (collective != call.name || failure().sequence != call.sequence);
  const std::string message = fmt::format(
      "{} #{}: {}{}", call.name, call.sequence,
      elsewhere ? fmt::format("the group failed in {} #{}: ", collective, failure().sequence) : "",
      readable ? failure().text : "the group failed");
  if (readable && failure().kind == Failure::Kind::timeout) {
    throw TimeoutError(message, call.name, call.sequence, failure().rank);
  }
  throw CommError(message, call.name, call.sequence, readable ? failure().rank : -1);
}

}  // namespace tutti::comm
