#include "comm/mpi/group.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

#include <algorithm>
#include <exception>

#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

constexpr int failure_tag = 3;

}  // namespace

MpiGroup::MpiGroup(std::shared_ptr<MpiSession> session, MPI_Comm comm) : session_(std::move(session)) {
  check_mpi(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
  check_mpi(MPI_Irecv(&heard_, sizeof heard_, MPI_BYTE, MPI_ANY_SOURCE, failure_tag, comm_, &listening_),
            "MPI_Irecv");
}

MpiGroup::~MpiGroup() {
  if (!MpiSession::usable()) return;
  // A rank that unwinds will not come to what the others are waiting in.
  if (std::uncaught_exceptions() > 0) {
    give_up({"", 0, rank_, false, fmt::format("rank {} has left the group", rank_)});
  }
  if (listening_ != MPI_REQUEST_NULL) {
    MPI_Cancel(&listening_);
    MPI_Wait(&listening_, MPI_STATUS_IGNORE);
  }
  if (!failed_) MPI_Comm_free(&comm_);
}

bool MpiGroup::listen() {
  if (listening_ == MPI_REQUEST_NULL) return false;
  int heard = 0;
  check_mpi(MPI_Test(&listening_, &heard, MPI_STATUS_IGNORE), "MPI_Test");
  if (heard && keep(heard_)) told_ = true;  // whoever found it tells everyone
  return heard;
}

void MpiGroup::finish(Requests& requests, const Running& running) {
  for (std::uint64_t polls = 1; !requests.test(); ++polls) {
    if (failed_) raise(running);
    if (listen()) continue;  // what the rank did of this collective before may be all that was missing
    if (polls % 64 != 0) continue;
    if (std::chrono::steady_clock::now() >= running.deadline) {
      auto ranks = requests.unfinished();
      ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
      if (ranks.front() < 0) fail_late(running);
      fail(running, ranks.front(), true,
           fmt::format("rank{} {} {} not arrived within {} ms", ranks.size() == 1 ? "" : "s",
                       fmt::join(ranks, ", "), ranks.size() == 1 ? "has" : "have", running.timeout.count()));
    }
    sched_yield();  // there may be more ranks than cores
  }
}

void MpiGroup::fail_late(const Running& running) {
  fail(running, -1, true,
       fmt::format("all ranks arrived, but MPI was not done within {} ms", running.timeout.count()));
}

void MpiGroup::hear(const Running& running, std::chrono::milliseconds patience) {
  const auto end = deadline_after(patience);
  while (!failed_ && !listen() && std::chrono::steady_clock::now() < end) sched_yield();
  if (failed_) raise(running);
}

void MpiGroup::abort(std::string_view reason) {
  char text[sizeof(MpiFailure::text)];  // said where there is no memory too
  const auto end = fmt::format_to_n(text, sizeof text, "rank {} aborted the group: {}", rank_, reason).out;
  give_up({"abort", 0, rank_, false, {text, end}});
}

void MpiGroup::fail(const Running& running, int rank, bool timeout, std::string_view text) {
  give_up({running.name, running.sequence, rank, timeout, text});
  raise(running);
}

void MpiGroup::give_up(const MpiFailure& failure) {
  keep(failure);
  tell_peers();
}

bool MpiGroup::keep(const MpiFailure& failure) {
  std::scoped_lock lock(mutex_);
  if (failed_) return false;
  failure_ = failure;
  failed_ = true;
  session_->fail();
  return true;
}

void MpiGroup::tell_peers() {
  // Where MPI allows one thread only, it is that one which does this, when it comes by.
  if (!session_->threaded() && std::this_thread::get_id() != owner_) return;
  if (told_.exchange(true)) return;
  for (int rank = 0; rank < size_; ++rank) {
    MPI_Request request;
    if (rank == rank_) continue;
    // Short enough to leave at once; a peer that is gone does not hold this rank up.
    if (MPI_Isend(&failure_, sizeof failure_, MPI_BYTE, rank, failure_tag, comm_, &request) == MPI_SUCCESS) {
      MPI_Request_free(&request);
    }
  }
}

MpiFailure MpiGroup::failure() const {
  std::scoped_lock lock(mutex_);
  return failure_;
}

void MpiGroup::raise(const Running& running) {
  tell_peers();
  const auto failure = this->failure();
  const bool elsewhere = failure.sequence != 0 && !failure.in(running.name, running.sequence);
  const auto message = fmt::format(
      "{} #{}: {}{}", running.name, running.sequence,
      elsewhere ? fmt::format("the group failed in {} #{}: ", failure.collective.data(), failure.sequence)
                : "",
      failure.text.data());
  if (failure.timeout) throw TimeoutError(message, running.name, running.sequence, failure.rank);
  throw CommError(message, running.name, running.sequence, failure.rank);
}

void MpiGroup::check_alive(const Running& running) const {
  if (!failed_) return;
  const auto failure = this->failure();
  throw CommError(
      fmt::format("{} #{}: the group failed before: {}", running.name, running.sequence, failure.text.data()),
      running.name, running.sequence, failure.rank);
}

}  // namespace tutti::comm
