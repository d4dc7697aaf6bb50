// How the ranks of a segment meet, and how they learn of each other's failures.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "comm/shared/segment.h"
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
  int size() const { return layout_.size(); }
  Segment& segment() const { return *segment_; }
  const Layout& layout() const { return layout_; }

  // Begins a collective: a phase in which each rank announces what it calls. Throws CommError on every rank
  // unless all call the same.
  void enter(const Call& call, const Signature& mine);
  // What a rank announced in the collective under way.
  const Signature& announced(int rank) const;

  // The next phase.
  void meet(const Call& call);

  // Begins what is no collective.
  void begin(const Call& call);
  // Waits for a counter that `peer` advances.
  void wait(const SharedCounter& counter, std::uint32_t target, int peer, const Call& call);

  // Makes the group fail, for good, and throws.
  [[noreturn]] void fail(const Call& call, Failure::Kind kind, int rank, const std::string& text);
  void abort(std::string_view reason);

 private:
  bool record(const Call& call, Failure::Kind kind, int rank, std::string_view text);
  [[noreturn]] void raise(const Call& call) const;
  void check_signatures(const Call& call);
  // Ranks for which this rank waits: `peer`, or where that is -1 all that have not posted `target`.
  std::vector<int> missing(const SharedCounter& counter, std::uint32_t target, int peer) const;
  // A rank that left or died; of all, or `peer` alone. It may have posted what this rank waits for, but a
  // rank that is through with a collective cannot keep another one waiting in it.
  int lost_rank(int peer) const;
  void wait_slowly(const SharedCounter& counter, std::uint32_t target, int peer, const Call& call);

  Slot& slot(int rank) const { return layout_.slot(base_, rank); }
  Failure& failure() const { return layout_.header(base_).failure; }

  std::shared_ptr<Segment> segment_;
  Layout layout_;
  std::byte* base_;
  int rank_;
  std::uint32_t phase_ = 0;
  std::uint32_t turn_ = 0;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
};

}  // namespace tutti::comm
