// The ranks of one MPI communicator: meeting before a collective, waiting against its deadline, failing.
#pragma once

#include <mpi.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "comm/mpi/failure.h"
#include "comm/mpi/requests.h"
#include "comm/mpi/running.h"
#include "comm/mpi/session.h"
#include "comm/shared/signature.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

// What goes to another rank in a collective, and what comes from it; empty for nothing.
struct Link {
  int rank;
  std::span<const std::byte> out{};
  std::span<std::byte> in{};
};

class MpiGroup {
 public:
  // So many bytes for a rank travel with the signature, in one message.
  static constexpr std::size_t eager_bytes = 4096;

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

  // Waits until the ranks of `links` have arrived at the collective, makes sure that it is the same one, and
  // exchanges their bytes.
  void exchange(const Running& running, const Signature& mine, std::span<const Link> links);
  // The bytes alone, with ranks that have met.
  void transfer(const Running& running, std::span<const Link> links);
  // A message to one rank and one from another, or one of both.
  void exchange(const Running& running, ConstBufferView in, Backend::Endpoint to, BufferView out,
                Backend::Endpoint from);

  Requests requests() const { return Requests(comm_); }
  // Waits until `requests` are finished; TimeoutError names the ranks that they wait for.
  void finish(Requests& requests, const Running& running);
  // Waits for `body()`, which calls what knows no deadline, on a thread that is left behind at the deadline. The body
  // owns what it uses.
  template <typename Body>
  std::invoke_result_t<Body> in_time(const Running& running, Body body);

  void abort(std::string_view reason);
  // Makes the group fail, here and on all its ranks, and throws. The first failure stays.
  [[noreturn]] void fail(const Running& running, int rank, bool timeout, std::string_view text);
  // The same without throwing.
  void give_up(const MpiFailure& failure);
  // Throws that the signatures, of `ranks` in ascending order, differ, if they do.
  void compare(const Running& running, std::span<const int> ranks, std::span<const Signature> signatures);

  // Waits for a peer to tell of a failure; then throws it.
  void hear(const Running& running, std::chrono::milliseconds patience);
  // Throws when this group has failed.
  void check_alive(const Running& running) const;

 private:
  struct Envelope;

  // Whether a peer has told of a failure by now.
  bool listen();
  bool keep(const MpiFailure& failure);
  void tell_peers();
  MpiFailure failure() const;
  [[noreturn]] void raise(const Running& running);
  // All ranks have arrived, but MPI needs longer than the deadline.
  [[noreturn]] void fail_late(const Running& running);

  std::shared_ptr<MpiSession> session_;
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  std::thread::id owner_ = std::this_thread::get_id();
  std::vector<Envelope> sent_;
  std::vector<Envelope> received_;

  std::atomic<bool> failed_ = false;  // another thread may abort
  std::atomic<bool> told_ = false;
  mutable std::mutex mutex_;
  MpiFailure failure_;
  MpiFailure heard_;
  MPI_Request listening_ = MPI_REQUEST_NULL;
};

template <typename Body>
std::invoke_result_t<Body> MpiGroup::in_time(const Running& running, Body body) {
  std::packaged_task<std::invoke_result_t<Body>()> task(std::move(body));
  auto result = task.get_future();
  std::thread thread(std::move(task));
  while (result.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
    const bool late = std::chrono::steady_clock::now() >= running.deadline;
    if (!failed_ && !late) continue;
    thread.detach();
    if (failed_) raise(running);
    fail_late(running);
  }
  // Until it has let go of what the body owns: whoever lets go of the session last ends MPI.
  thread.join();
  return result.get();
}

// What a rank says about its collective, and what fits in beside it.
struct MpiGroup::Envelope {
  Signature signature;
  std::byte bytes[eager_bytes];
};

}  // namespace tutti::comm
