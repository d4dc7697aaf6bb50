// How the ranks of a segment meet, and how they learn of each other's failures.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "comm/shared/segment.h"
#include "core/pause.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

// Collectives are made of phases. A rank posts a phase when its part of it is readable, and goes on when all
// have posted: then all have also finished reading what belonged to the phase before.
class Group {
 public:
  using Call = Backend::Call;

  Group(std::shared_ptr<Segment> segment, int rank);
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group();

  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::vector<int>& peers() const { return peers_; }
  Segment& segment() const { return *segment_; }
  const Layout& layout() const { return layout_; }

  // Begins a collective: a phase in which each rank tells each other one what it calls, and in `write(line, peer)`
  // a little more. Throws CommError on every rank unless all call the same. `bytes_behind`: how much data each
  // rank has put behind its lines.
  template <typename Write>
  void enter(const Call& call, const Signature& mine, std::size_t bytes_behind, const Write& write);
  // What `peer` has told in the collective under way.
  const Line& heard(int peer) const { return layout_.line(base_, peer, rank_, turn_); }
  // Where this rank puts what is small and does not fit into a line, before it enters; and what a peer has put there.
  std::byte* small_for(int peer) const { return layout_.small(base_, rank_, peer, turn_ + 1); }
  const std::byte* small_of(int peer) const { return layout_.small(base_, peer, rank_, turn_); }

  // The next phase; returns its number.
  std::uint32_t post();
  void await(const Call& call, std::uint32_t phase);
  void meet(const Call& call) { await(call, post()); }

  // Memory for a piece of a collective, see Layout.
  std::byte* block(int from, int to, std::uint32_t number) const {
    return layout_.block(base_, from, to, number);
  }
  std::byte* exchange_block_for(int peer, std::uint32_t number) const {
    return layout_.exchange_block(base_, rank_, peer, number);
  }
  const std::byte* exchange_block_of(int peer, std::uint32_t number) const {
    return layout_.exchange_block(base_, peer, rank_, number);
  }

  // Begins what is no collective.
  void begin(const Call& call) {
    deadline_.reset();
    check(call);
  }
  // Throws when the group has failed by now.
  void check(const Call& call) const {
    if (failure().state.load(std::memory_order_acquire) != Failure::none) raise(call);
  }
  // Waits until `ready()`, which the ranks `peers` bring about; of these, `arrived(rank)` tells who is not to blame.
  template <typename Ready, typename Arrived>
  void wait(const Call& call, const Ready& ready, const std::vector<int>& peers, const Arrived& arrived);
  void ring(int peer) const { slot(peer).doorbell.ring(); }

  // Whether `peer` can never take part in anything again.
  bool gone(int peer) const {
    return slot(peer).left.load() || slot(peer).pid.load() == 0 || !segment_->alive(peer);
  }

  // Makes the group fail, for good, and throws.
  [[noreturn]] void fail(const Call& call, Failure::Kind kind, int rank, const std::string& text);
  void abort(std::string_view reason);

 private:
  using Condition = std::function<bool()>;
  using RankCondition = std::function<bool(int rank)>;

  void let_arrive(std::size_t bytes_behind);
  template <typename Ready>
  bool spin(const Ready& ready) const;
  void wait_slowly(const Call& call, const Condition& ready, const std::vector<int>& peers,
                   const RankCondition& arrived);
  // Tells the others for whom of `peers` this rank waits, and notes which of them still look for somebody themselves.
  void look_around(const std::vector<int>& peers, const RankCondition& arrived);
  // Who keeps this rank waiting for `rank`: the end of the chain of those that wait for each other.
  int who_keeps(int rank, std::chrono::milliseconds timeout) const;
  void check_signatures(const Call& call, const Signature& mine);

  void record(const Call& call, Failure::Kind kind, int rank, std::string_view text);
  [[noreturn]] void raise(const Call& call) const;
  // One of `peers` that died, or left before it arrived. Who has arrived may be through with the collective, for a rank
  // tells one peer after another, and leave while this rank still waits for the word of a third.
  int lost_rank(const std::vector<int>& peers, const RankCondition& arrived) const;

  bool reached(int peer, std::uint32_t phase) const {
    return static_cast<std::int32_t>(slot(peer).posted.load(std::memory_order_acquire) - phase) >= 0;
  }
  Slot& slot(int rank) const { return layout_.slot(base_, rank); }
  Failure& failure() const { return layout_.header(base_).failure; }

  std::shared_ptr<Segment> segment_;
  Layout layout_;
  std::byte* base_;
  int rank_;
  int size_;
  std::vector<int> peers_;  // the others, beginning with the next one, so that not all look at the same
  int pauses_;
  // How long to let what stands behind the lines arrive: for one line of data, for a few, and for more.
  struct Patience {
    int pauses = 2;
    int score = 0;  // higher, the more often it was not enough
  };
  std::array<Patience, 3> patience_;
  std::uint32_t phase_ = 0;
  std::uint32_t turn_ = 0;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  // How often each rank has looked, and when that changed for the last time.
  struct Seen {
    std::uint32_t looks = 0;
    std::chrono::steady_clock::time_point changed;
  };
  std::vector<Seen> seen_;
};

// Waits as long as a sleep would cost, without one. The yields let a rank that shares this core run first; where
// they give the core to other work for longer, a sleeper is woken sooner than one who yields gets it back.
template <typename Ready>
bool Group::spin(const Ready& ready) const {
  constexpr std::chrono::microseconds yielding(50);
  for (int i = 0; i < pauses_; ++i) {
    if (ready()) return true;
    pause();
  }
  const auto end = std::chrono::steady_clock::now() + yielding;
  do {
    if (ready()) return true;
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

template <typename Ready, typename Arrived>
void Group::wait(const Call& call, const Ready& ready, const std::vector<int>& peers,
                 const Arrived& arrived) {
  if (!spin(ready)) wait_slowly(call, ready, peers, arrived);
}

template <typename Write>
void Group::enter(const Call& call, const Signature& mine, std::size_t bytes_behind, const Write& write) {
  begin(call);
  ++turn_;
  for (const int peer : peers_) {
    Line& line = layout_.line(base_, rank_, peer, turn_);
    line.signature = mine;
    write(line, peer);
    line.turn.store(turn_, std::memory_order_release);
  }
  for (const int peer : peers_) ring(peer);
  if (bytes_behind > 0 && pauses_ > 0 && size_ > 1) let_arrive(bytes_behind);
  const auto arrived = [&](int peer) {
    return peer == rank_ || heard(peer).turn.load(std::memory_order_acquire) == turn_;
  };
  bool same = true;
  for (const int peer : peers_) {
    wait(
        call, [&] { return arrived(peer); }, peers_, arrived);
    same = same && heard(peer).signature.matches(mine);
  }
  if (!same) check_signatures(call, mine);
}

}  // namespace tutti::comm
