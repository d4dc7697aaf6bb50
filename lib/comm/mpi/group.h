// The ranks of one MPI communicator: meeting before a collective, waiting against its deadline, failing.
#pragma once

#include <mpi.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "comm/deadline.h"
#include "comm/mpi/requests.h"
#include "comm/mpi/session.h"
#include "comm/shared/signature.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

// Identity of the collective under way, and when it must be done.
struct Running {
  explicit Running(const Backend::Call& call)
      : name(call.name),
        sequence(call.sequence),
        timeout(call.timeout),
        deadline(deadline_after(call.timeout)) {}

  const char* name;
  std::uint64_t sequence;
  std::chrono::milliseconds timeout;
  std::chrono::steady_clock::time_point deadline;
};

class MpiGroup {
 public:
  // Takes its own copy of `comm`, so that messages never meet the application's; every rank of `comm` calls
  // it.
  MpiGroup(std::shared_ptr<MpiSession> session, MPI_Comm comm);
  ~MpiGroup();
  MpiGroup(const MpiGroup&) = delete;
  MpiGroup& operator=(const MpiGroup&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  MPI_Comm comm() const { return comm_; }
  const std::shared_ptr<MpiSession>& session() const { return session_; }

  // Waits until every rank has arrived at the collective, and makes sure that it is the same one.
  void meet(const Running& running, const Signature& mine);
  // The same for a message to one rank and one from another, or one of both.
  void meet(const Running& running, ConstBufferView in, Backend::Endpoint to, ConstBufferView out,
            Backend::Endpoint from);

  Requests requests() const { return Requests(comm_); }
  // Waits until `requests` are finished; TimeoutError names the ranks that they wait for.
  void finish(Requests& requests, const Running& running);

  void abort(std::string_view reason);
  // The first failure stays; `rank` is the one at fault, -1 where none can be named.
  void fail(std::string_view reason, int rank = -1);
  // Throws when this group has failed.
  void check_alive(const Running& running);

  static constexpr int data_tag = 1;

 private:
  std::string failure() const;
  void compare(const Running& running, const Signature& mine, const Signature& other, int rank);
  void listen();

  std::shared_ptr<MpiSession> session_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  std::atomic<bool> failed_ = false;  // another thread may abort
  mutable std::mutex mutex_;
  std::string failure_;
  std::atomic<int> failed_rank_ = -1;
  std::array<char, 256> abort_reason_{};
  MPI_Request abort_ = MPI_REQUEST_NULL;  // the receive of a peer's abort
};

}  // namespace tutti::comm
