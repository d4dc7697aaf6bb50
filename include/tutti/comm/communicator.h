/// \file
/// Collectives among ranks.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "tutti/comm/backend.h"
#include "tutti/comm/flight_recorder.h"
#include "tutti/comm/logical_ranks.h"

namespace tutti {
namespace comm {
class Executor;
}

/// A group of ranks that communicate. Every rank calls the same collectives in the same order, with the same
/// counts, types and reductions; a difference is detected and named in the error on every rank. A
/// communicator is used by one thread at a time; several may live in one process.
///
/// Buffers are any contiguous range (`std::vector`, `std::span`), a `BufferView`, or a contiguous Tensor. Where a
/// collective takes `in` and `out`, these do not overlap, except where the call without `in` says that it works in
/// place. Floating-point sums are in one fixed binary tree over the ranks (tutti/core/tree.h): ((0 + 1) + 2) + (3 + 4) on
/// five, whatever the back end, the count and the position; bf16 and f16 are summed in f32.
/// `Options::order` gives that up for the engine's own order.
///
/// Buffers may lie on a GPU: NCCL takes those of its own, every other back end all of them, by way of the host's memory. They
/// are read behind what is queued on the calling thread's stream there, and are ready for any when the collective is done.
///
/// Each collective has a form `..._async` that returns a `comm::Work` at once. The collectives of a communicator run
/// one after another, in the order of the calls, blocking ones and others alike, whatever order the works are waited
/// for in. On all back ends but NCCL a thread of the communicator's own runs them, from the first such call on. The
/// buffers belong to the collective until its work is done.
///
/// Every collective throws ShapeError (sizes, root, overlap, null pointers), DTypeError and DeviceError for
/// its arguments, before anything is sent; CommError when a peer died, left, aborted or called something
/// else; and TimeoutError when ranks have not arrived by the deadline. Both name the rank. After one of these two the
/// communicator refuses every further call with the same error; the ranks that are left can go on with `shrink`.
class Communicator {
 public:
  explicit Communicator(std::unique_ptr<comm::Backend> backend);
  /// A group of one.
  Communicator();
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  /// Waits for what is under way, at most until its deadline.
  virtual ~Communicator();

  int rank() const;
  int size() const;
  /// "self", "threads", "shm", "mpi" or "nccl".
  std::string_view backend() const;
  /// Whether another thread than the one that made it may use it (one at a time). It may, but over an MPI below
  /// MPI_THREAD_MULTIPLE.
  bool any_thread() const;

  /// Deadline of every wait that is given none of its own; 5 minutes at first.
  std::chrono::milliseconds timeout() const { return timeout_; }
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }

  /// The parts of a global batch, see LogicalRanks: at first the smallest power of two that is at least size().
  /// A `split` starts anew, a `shrink` keeps them.
  LogicalRanks logical_ranks() const { return {logical_ranks_, rank(), size()}; }
  /// Every rank gives the same number. \throws ConfigError when it is below size().
  void set_logical_ranks(int count);

  /// Reduces `buffer` over all ranks, in place; any count.
  void all_reduce(BufferView buffer, ReduceOp op = ReduceOp::sum, const comm::Options& options = {});
  void all_reduce(ConstBufferView in, BufferView out, ReduceOp op = ReduceOp::sum,
                  const comm::Options& options = {});
  comm::Work all_reduce_async(BufferView buffer, ReduceOp op = ReduceOp::sum,
                              const comm::Options& options = {});
  comm::Work all_reduce_async(ConstBufferView in, BufferView out, ReduceOp op = ReduceOp::sum,
                              const comm::Options& options = {});

  /// Block r of the reduction of `in` (size() blocks of `out.count` elements) to rank r.
  void reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op = ReduceOp::sum,
                      const comm::Options& options = {});
  comm::Work reduce_scatter_async(ConstBufferView in, BufferView out, ReduceOp op = ReduceOp::sum,
                                  const comm::Options& options = {});
  /// Every rank's `in`, in rank order, to all; `out.count` is size() * `in.count`.
  void all_gather(ConstBufferView in, BufferView out, const comm::Options& options = {});
  comm::Work all_gather_async(ConstBufferView in, BufferView out, const comm::Options& options = {});
  /// The same in place: rank r's part stands at block r of `buffer` already.
  void all_gather(BufferView buffer, const comm::Options& options = {});
  comm::Work all_gather_async(BufferView buffer, const comm::Options& options = {});
  /// `buffer` of rank `root` to all.
  void broadcast(BufferView buffer, int root = 0, const comm::Options& options = {});
  comm::Work broadcast_async(BufferView buffer, int root = 0, const comm::Options& options = {});
  /// Block j of rank i's `in` becomes block i of rank j's `out`.
  void all_to_all(ConstBufferView in, BufferView out, const comm::Options& options = {});
  comm::Work all_to_all_async(ConstBufferView in, BufferView out, const comm::Options& options = {});
  /// Every rank's `in`, in rank order, to `root`; elsewhere `out` is not used and may be empty.
  void gather(ConstBufferView in, BufferView out, int root = 0, const comm::Options& options = {});
  comm::Work gather_async(ConstBufferView in, BufferView out, int root = 0,
                          const comm::Options& options = {});
  /// Block r of `root`'s `in` to rank r; elsewhere `in` is not used and may be empty.
  void scatter(ConstBufferView in, BufferView out, int root = 0, const comm::Options& options = {});
  comm::Work scatter_async(ConstBufferView in, BufferView out, int root = 0,
                           const comm::Options& options = {});
  /// Returns when every rank has called it.
  void barrier(const comm::Options& options = {});
  comm::Work barrier_async(const comm::Options& options = {});

  /// To another rank, which calls `recv` with the same count and type. Messages between two ranks keep their
  /// order. `send` may wait until the receiver takes the message.
  void send(ConstBufferView in, int to, const comm::Options& options = {});
  void recv(BufferView out, int from, const comm::Options& options = {});
  /// Both at once, so that ranks can pass messages around without waiting for each other; `to` and `from` may be
  /// the same rank, and this one if both are.
  void send_recv(ConstBufferView in, int to, BufferView out, int from, const comm::Options& options = {});

  /// Ranks of the same `color` form a new communicator, ordered by `key`, then by rank.
  Communicator split(int color, int key = 0, const comm::Options& options = {});

  /// After a failure: a new communicator of the ranks that call this before the deadline, in their old order. Ranks
  /// that are dead are not waited for. This communicator stays as it is. On the back ends self, threads and shm.
  /// \throws CommError where the back end has no such thing, or when this rank came too late.
  Communicator shrink(const comm::Options& options = {});

  /// Memory in which collectives run without a copy (shared among ranks where the back end can; known to NCCL); on a GPU
  /// without NCCL, plain memory there.
  /// It lives as long as the returned pointer, beyond the communicator if need be.
  /// \throws DeviceError where there is not so much memory, or `device` is a GPU that NCCL serves another rank with.
  std::shared_ptr<void> allocate(std::size_t bytes, Device device = {});

  /// Makes every wait of this group fail with `reason`: for a rank that gives up and wants its peers to know.
  /// Any thread may call it, as a watchdog does.
  void abort(std::string_view reason);

  /// The last 256 collectives and messages, the newest last. Any thread may call it, while others run. When a
  /// collective fails, the last ones are also written to the log.
  std::vector<comm::FlightRecord> flight_record() const;

 private:
  struct Calls;

  comm::Backend::Call call(const char* name, const comm::Options& options);
  comm::Backend::Endpoint endpoint(int rank, std::vector<std::uint64_t>& counts);

  std::shared_ptr<comm::Executor> executor_;  // works under way on a GPU keep it too
  std::chrono::milliseconds timeout_{std::chrono::minutes(5)};
  int logical_ranks_;
  std::uint64_t sequence_ = 0;
  std::vector<std::uint64_t> sent_;  // to and from each rank
  std::vector<std::uint64_t> received_;
};

}  // namespace tutti
