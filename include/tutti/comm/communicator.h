/// \file
/// Collectives among ranks.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tutti/comm/backend.h"

namespace tutti {

/// A group of ranks that communicate. Every rank calls the same collectives in the same order, with the same
/// counts, types and reductions; a difference is detected and named in the error on every rank. A communicator is
/// used by one thread at a time; several may live in one process. After an error that is no argument error
/// (ShapeError, DTypeError) the communicator is of no further use.
///
/// Each collective has a form that blocks and one ending in `_async` that returns a `comm::Work`. Buffers are any
/// contiguous range (`std::vector`, `std::span`), a `BufferView`, or a contiguous Tensor. Where a collective takes
/// `in` and `out`, these do not overlap, except where the call without `in` says that it works in place.
/// Floating-point sums are in rank order of one fixed binary tree on the back ends self, threads, shm and mpi.
class Communicator {
 public:
  explicit Communicator(std::unique_ptr<comm::Backend> backend);
  /// A group of one.
  Communicator();
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  virtual ~Communicator();

  int rank() const;
  int size() const;
  /// "self", "threads", "shm" or "mpi".
  std::string_view backend() const;

  /// Deadline of every wait that is given none of its own; 5 minutes at first.
  std::chrono::milliseconds timeout() const { return timeout_; }
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }

  /// Reduces `buffer` over all ranks, in place; any count.
  void all_reduce(BufferView buffer, ReduceOp op = ReduceOp::sum, const comm::Options& options = {});
  void all_reduce(ConstBufferView in, BufferView out, ReduceOp op = ReduceOp::sum, const comm::Options& options = {});
  comm::Work all_reduce_async(BufferView buffer, ReduceOp op = ReduceOp::sum, const comm::Options& options = {});
  comm::Work all_reduce_async(ConstBufferView in, BufferView out, ReduceOp op = ReduceOp::sum,
                              const comm::Options& options = {});

  /// Block r of the reduction of `in` (size() blocks of `out.count` elements) to rank r.
  void reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op = ReduceOp::sum,
                      const comm::Options& options = {});
  /// Every rank's `in`, in rank order, to all; `out.count` is size() * `in.count`.
  void all_gather(ConstBufferView in, BufferView out, const comm::Options& options = {});
  /// The same in place: rank r's part stands at block r of `buffer` already.
  void all_gather(BufferView buffer, const comm::Options& options = {});
  /// `buffer` of rank `root` to all.
  void broadcast(BufferView buffer, int root = 0, const comm::Options& options = {});
  /// Block j of rank i's `in` becomes block i of rank j's `out`.
  void all_to_all(ConstBufferView in, BufferView out, const comm::Options& options = {});
  /// Every rank's `in`, in rank order, to `root`; elsewhere `out` is not used and may be empty.
  void gather(ConstBufferView in, BufferView out, int root = 0, const comm::Options& options = {});
  /// Block r of `root`'s `in` to rank r; elsewhere `in` is not used and may be empty.
  void scatter(ConstBufferView in, BufferView out, int root = 0, const comm::Options& options = {});
  /// To one rank, which calls `recv` with the same count and type. Messages between two ranks keep their order.
  void send(ConstBufferView in, int to, const comm::Options& options = {});
  void recv(BufferView out, int from, const comm::Options& options = {});
  /// Returns when every rank has called it.
  void barrier(const comm::Options& options = {});

  /// Ranks of the same `color` form a new communicator, ordered by `key`, then by rank.
  Communicator split(int color, int key = 0, const comm::Options& options = {});

  /// Memory in which collectives run without a copy (shared among ranks where the back end can).
  /// It lives as long as the returned pointer or the communicator, whichever is longer.
  std::shared_ptr<void> allocate(std::size_t bytes);

  /// Makes every wait of this group fail with `reason`: for a rank that gives up and wants its peers to know.
  void abort(std::string_view reason);

 private:
  comm::Backend::Call call(const char* name, const comm::Options& options);

  std::unique_ptr<comm::Backend> backend_;
  std::chrono::milliseconds timeout_{std::chrono::minutes(5)};
  std::uint64_t sequence_ = 0;
};

}  // namespace tutti
