/// \file
/// What a collective engine implements. `Communicator` checks arguments once, above it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "tutti/comm/types.h"
#include "tutti/comm/work.h"
#include "tutti/core/buffer_view.h"

namespace tutti::comm {

/// One rank's end of a group. Counts are checked, buffers are on one device that `takes` allows, and pointers
/// valid when a call arrives; what lies on another GPU has come to the CPU, unless collectives are done `on_device`. `in` and `out` do not overlap, with two exceptions: all_reduce may get the same memory twice, and
/// all_gather may get as `in` the block of `out` that belongs to this rank. `Call` carries the identity of a
/// collective for errors and for the detection of mismatched calls. Used by one thread at a time, which need
/// not always be the same one.
class Backend {
 public:
  /// Which collective this is, and how long it may take.
  struct Call {
    const char* name;  ///< "all_reduce"
    /// Collectives: counted from 1 on each communicator, equal on every rank. Messages: counted from 1 on
    /// each ordered pair of ranks.
    std::uint64_t sequence;
    std::chrono::milliseconds timeout;
    Stream stream = nullptr;
    ReduceOrder order = ReduceOrder::tree;
    std::uint32_t pieces = 0;  ///< of which this call is one; 0 for a whole collective
  };

  /// The other end of a message, and the number of the message on its ordered pair of ranks, from 1.
  struct Endpoint {
    int rank = -1;  ///< -1 for none
    std::uint64_t message = 0;
  };

  /// When the collectives of a back end are done.
  enum class Completion : std::uint8_t {
    /// When the call returns. Where overlap is asked for, a progress thread makes the call.
    on_return,
    /// The same, and no other thread may make it.
    on_return_same_thread,
    /// When the device that runs them gets there: calls return at once.
    on_device,
  };

  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual Completion completion() const { return Completion::on_return; }
  /// Whether collectives run on buffers of `device`; they do on the CPU's everywhere.
  virtual bool takes(Device device) const { return device.is_cpu(); }

  /// Ranks of the same `color` form a new group, ordered by `key`, then by rank.
  virtual std::unique_ptr<Backend> split(int color, int key, const Call& call) = 0;

  /// The ranks that call this, after a failure, form a new group, in their old order. A rank that is dead, has
  /// left, or does not call it before the deadline of those that do, is no part of it.
  virtual std::unique_ptr<Backend> shrink(const Call& call);

  /// Memory that peers can map, so that collectives on it copy nothing; plain memory where there is none.
  virtual std::shared_ptr<void> allocate(std::size_t bytes);
  /// The same on a GPU that `takes` allows.
  virtual std::shared_ptr<void> allocate_on(Device gpu, std::size_t bytes);

  virtual Work all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) = 0;
  /// `in` holds size() blocks of `out.count`; rank r receives the reduction of all blocks r.
  virtual Work reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) = 0;
  virtual Work all_gather(ConstBufferView in, BufferView out, const Call& call) = 0;
  virtual Work broadcast(BufferView buffer, int root, const Call& call) = 0;
  virtual Work all_to_all(ConstBufferView in, BufferView out, const Call& call) = 0;
  /// `out` is empty except on `root`.
  virtual Work gather(ConstBufferView in, BufferView out, int root, const Call& call) = 0;
  /// `in` is empty except on `root`.
  virtual Work scatter(ConstBufferView in, BufferView out, int root, const Call& call) = 0;
  /// Sends `in` to one rank and receives `out` from one, at once. Where an endpoint is none, its buffer is
  /// empty. Neither is this rank, unless both are, with the same count and type.
  virtual Work send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from,
                         const Call& call) = 0;
  virtual Work barrier(const Call& call) = 0;

  /// Makes every wait of this group, here and on its peers where the engine can, fail with `reason`. Any
  /// thread may call it.
  virtual void abort(std::string_view reason) = 0;
};

}  // namespace tutti::comm
