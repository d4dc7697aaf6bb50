#include "comm/mpi/group.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

#include <algorithm>

#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

constexpr int signature_tag = 2;
constexpr int abort_tag = 3;
constexpr int sender_tag = 4;
constexpr int receiver_tag = 5;

// Of a message, the same on both sides.
Signature message(Backend::Endpoint end, ConstBufferView buffer) {
  return make_signature({"message", end.message, {}}, buffer.count, buffer.dtype);
}

}  // namespace

MpiGroup::MpiGroup(std::shared_ptr<MpiSession> session, MPI_Comm comm) : session_(std::move(session)) {
  check_mpi(MPI_Comm_dup(comm, &comm_), "MPI_Comm_dup");
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
  listen();
}

MpiGroup::~MpiGroup() {
  if (!MpiSession::usable()) return;
  if (abort_ != MPI_REQUEST_NULL) {
    MPI_Cancel(&abort_);
    MPI_Wait(&abort_, MPI_STATUS_IGNORE);
  }
  if (!failed_) MPI_Comm_free(&comm_);
}

void MpiGroup::listen() {
  check_mpi(MPI_Irecv(abort_reason_.data(), static_cast<int>(abort_reason_.size()), MPI_CHAR, MPI_ANY_SOURCE,
                      abort_tag, comm_, &abort_),
            "MPI_Irecv");
}

void MpiGroup::meet(const Running& running, const Signature& mine) {
  std::vector<Signature> others(static_cast<std::size_t>(size_), mine);
  auto messages = requests();
  for (int step = 1; step < size_; ++step) {
    const int from = (rank_ + size_ - step) % size_;
    messages.receive(&others[static_cast<std::size_t>(from)], sizeof(Signature), from, signature_tag);
  }
  for (int step = 1; step < size_; ++step) {
    messages.send(&mine, sizeof mine, (rank_ + step) % size_, signature_tag);
  }
  finish(messages, running);
  for (int rank = 0; rank < size_; ++rank)
    compare(running, mine, others[static_cast<std::size_t>(rank)], rank);
}

void MpiGroup::meet(const Running& running, ConstBufferView in, Backend::Endpoint to, ConstBufferView out,
                    Backend::Endpoint from) {
  const Signature sending = message(to, in), receiving = message(from, out);
  Signature received = sending, sent = receiving;
  auto messages = requests();
  if (to.rank >= 0) {
    messages.receive(&received, sizeof received, to.rank, receiver_tag);
    messages.send(&sending, sizeof sending, to.rank, sender_tag);
  }
  if (from.rank >= 0) {
    messages.receive(&sent, sizeof sent, from.rank, sender_tag);
    messages.send(&receiving, sizeof receiving, from.rank, receiver_tag);
  }
  finish(messages, running);
  compare(running, sending, received, to.rank);
  compare(running, receiving, sent, from.rank);
}

void MpiGroup::compare(const Running& running, const Signature& mine, const Signature& other, int rank) {
  if (other.matches(mine)) return;
  throw CommError(fmt::format("{} #{}: rank {} called {}, rank {} called {}", running.name, running.sequence,
                              rank_, mine.str(), rank, other.str()),
                  running.name, running.sequence, rank);
}

void MpiGroup::finish(Requests& requests, const Running& running) {
  for (std::uint64_t polls = 1; !requests.test(); ++polls) {
    if (failed_) {
      throw CommError(fmt::format("{} #{}: {}", running.name, running.sequence, failure()), running.name,
                      running.sequence, failed_rank_);
    }
    int aborted = 0;
    MPI_Status status;
    check_mpi(MPI_Test(&abort_, &aborted, &status), "MPI_Test");
    if (aborted) {
      fail(fmt::format("rank {} aborted the group: {}", status.MPI_SOURCE, abort_reason_.data()),
           status.MPI_SOURCE);
      continue;  // what the rank did of this collective before may be all that was missing
    }
    if (polls % 64 != 0) continue;
    if (std::chrono::steady_clock::now() >= running.deadline) {
      auto ranks = requests.unfinished();
      ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
      throw TimeoutError(
          fmt::format("{} #{}: rank{} {} not arrived within {} ms", running.name, running.sequence,
                      ranks.size() == 1 ? "" : "s",
                      fmt::format("{} {}", fmt::join(ranks, ", "), ranks.size() == 1 ? "has" : "have"),
                      running.timeout.count()),
          running.name, running.sequence, ranks.front());
    }
    sched_yield();  // there may be more ranks than cores
  }
}

void MpiGroup::abort(std::string_view reason) {
  std::array<char, 256> message{};
  reason.copy(message.data(), message.size() - 1);
  for (int rank = 0; rank < size_; ++rank) {
    MPI_Request request;
    if (rank == rank_) continue;
    // Short enough to leave at once; a peer that is gone does not hold this rank up.
    if (MPI_Isend(message.data(), static_cast<int>(message.size()), MPI_CHAR, rank, abort_tag, comm_,
                  &request) == MPI_SUCCESS) {
      MPI_Request_free(&request);
    }
  }
  fail(fmt::format("rank {} aborted the group: {}", rank_, reason), rank_);
}

void MpiGroup::fail(std::string_view reason, int rank) {
  std::scoped_lock lock(mutex_);
  if (!failed_) {
    failure_ = reason;
    failed_rank_ = rank;
  }
  failed_ = true;
  session_->fail();
}

std::string MpiGroup::failure() const {
  std::scoped_lock lock(mutex_);
  return failure_;
}

void MpiGroup::check_alive(const Running& running) {
  if (!failed_) return;
  throw CommError(
      fmt::format("{} #{}: the group failed before: {}", running.name, running.sequence, failure()),
      running.name, running.sequence, failed_rank_);
}

}  // namespace tutti::comm
