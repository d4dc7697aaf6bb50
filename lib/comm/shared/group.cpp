#include "comm/shared/group.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "comm/deadline.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// How soon a sleeping rank learns that another one died, or that the group failed.
constexpr milliseconds slice(10);

template <std::size_t n>
void copy_text(char (&to)[n], std::string_view from) {
  const std::size_t length = std::min(n - 1, from.size());
  std::memcpy(to, from.data(), length);
  to[length] = '\0';
}

}  // namespace

Group::Group(std::shared_ptr<Segment> segment, int rank)
    : segment_(std::move(segment)), layout_(segment_->layout()), base_(segment_->base()), rank_(rank) {
  slot(rank).pid.store(::getpid());
}

Group::~Group() {
  slot(rank_).left.store(true);
  slot(rank_).posted.wake();
}

void Group::begin(const Call& call) {
  deadline_.reset();
  if (failure().state.load(std::memory_order_acquire) != Failure::none) raise(call);
}

void Group::enter(const Call& call, const Signature& mine) {
  begin(call);
  slot(rank_).signatures[++turn_ % 2] = mine;
  meet(call);
  check_signatures(call);
}

const Signature& Group::announced(int rank) const { return slot(rank).signatures[turn_ % 2]; }

void Group::meet(const Call& call) {
  ++phase_;
  slot(rank_).posted.advance_to(phase_);
  for (int i = 1; i < size(); ++i) {
    const SharedCounter& posted = slot((rank_ + i) % size()).posted;
    if (!posted.spin(phase_)) wait_slowly(posted, phase_, -1, call);
  }
}

void Group::wait(const SharedCounter& counter, std::uint32_t target, int peer, const Call& call) {
  if (!counter.spin(target)) wait_slowly(counter, target, peer, call);
}

std::vector<int> Group::missing(const SharedCounter& counter, std::uint32_t target, int peer) const {
  std::vector<int> ranks;
  if (peer >= 0) {
    if (!counter.reached(target)) ranks.push_back(peer);
    return ranks;
  }
  for (int rank = 0; rank < size(); ++rank) {
    if (!slot(rank).posted.reached(target)) ranks.push_back(rank);
  }
  return ranks;
}

int Group::lost_rank(int peer) const {
  for (int rank = 0; rank < size(); ++rank) {
    if (peer >= 0 && rank != peer) continue;
    if (slot(rank).left.load() || (slot(rank).pid.load() != 0 && !segment_->alive(rank))) return rank;
  }
  return -1;
}

void Group::wait_slowly(const SharedCounter& counter, std::uint32_t target, int peer, const Call& call) {
  if (!deadline_) deadline_ = deadline_after(call.timeout);
  while (true) {
    // Looked at first, and the counter last: what a rank posted before it was lost still counts.
    const int lost = lost_rank(peer);
    const bool late = Clock::now() >= *deadline_;
    const std::uint32_t seen = counter.value();
    const std::vector<int> absent = missing(counter, target, peer);
    if (counter.reached(target)) return;
    if (failure().state.load(std::memory_order_acquire) != Failure::none) raise(call);
    if (lost >= 0) {
      fail(call, Failure::Kind::comm, lost,
           slot(lost).left.load() ? fmt::format("rank {} has left the group", lost)
                                  : fmt::format("rank {} died (process {})", lost, slot(lost).pid.load()));
    }
    if (late) {
      fail(call, Failure::Kind::timeout, absent.front(),
           fmt::format("{} {} not arrived within {} ms", absent.size() == 1 ? "rank" : "ranks",
                       fmt::format("{} {}", fmt::join(absent, ", "), absent.size() == 1 ? "has" : "have"),
                       call.timeout.count()));
    }
    const auto left = std::chrono::ceil<milliseconds>(*deadline_ - Clock::now());
    counter.sleep(seen, std::clamp(left, milliseconds(1), slice));
  }
}

void Group::check_signatures(const Call& call) {
  // The odd one out is the rank at fault: who differs from what most ranks call, rank 0 deciding a tie.
  int best = 0, most = 0;
  for (int candidate = 0; candidate < size() && 2 * most <= size(); ++candidate) {
    int votes = 0;
    for (int rank = 0; rank < size(); ++rank) votes += announced(rank).matches(announced(candidate)) ? 1 : 0;
    if (votes > most) most = votes, best = candidate;
  }
  if (most == size()) return;
  int odd = 0;
  while (announced(odd).matches(announced(best))) ++odd;
  const std::string text = fmt::format("rank {} called {}, rank {} called {}", odd, announced(odd).str(),
                                       best, announced(best).str());
  record(call, Failure::Kind::comm, odd, text);
  // Every rank sees the same signatures, so each says so under the name of its own call.
  throw CommError(fmt::format("{} #{}: {}", call.name, call.sequence, text), call.name, call.sequence, odd);
}

bool Group::record(const Call& call, Failure::Kind kind, int rank, std::string_view text) {
  std::uint32_t expected = Failure::none;
  if (!failure().state.compare_exchange_strong(expected, Failure::being_written)) return false;
  failure().kind = kind;
  failure().rank = rank;
  failure().sequence = call.sequence;
  copy_text(failure().collective, call.name);
  copy_text(failure().text, text);
  failure().state.store(Failure::written, std::memory_order_release);
  return true;
}

void Group::fail(const Call& call, Failure::Kind kind, int rank, const std::string& text) {
  if (record(call, kind, rank, text)) slot(rank_).posted.wake();
  raise(call);
}

void Group::abort(std::string_view reason) {
  const Call call{"abort", 0, {}, nullptr};
  record(call, Failure::Kind::comm, rank_, fmt::format("rank {} aborted the group: {}", rank_, reason));
  slot(rank_).posted.wake();
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
