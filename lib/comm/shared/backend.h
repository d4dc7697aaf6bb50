// The engine of the back ends threads and shm.
#pragma once

#include <memory>

#include "comm/shared/group.h"

namespace tutti::comm {

// Reductions are direct: each rank combines elements of all ranks at once, in the tree of kernels/combine.h,
// so the result does not depend on how the buffer was cut. Where every buffer of a collective lies in memory
// that all ranks reach, they read and write each other's; otherwise the data goes through staging memory, a
// piece at a time. What is small always does, for it saves a phase.
class SharedBackend final : public Backend {
 public:
  SharedBackend(std::shared_ptr<Segment> segment, int rank);

  // Meets all ranks for the first time, where they come one by one.
  void join(std::chrono::milliseconds timeout);

  std::string_view name() const override { return segment_->name(); }
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }

  std::unique_ptr<Backend> split(int color, int key, const Call& call) override;
  std::shared_ptr<void> allocate(std::size_t bytes) override { return segment_->allocate(bytes); }

  Work all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work all_gather(ConstBufferView in, BufferView out, const Call& call) override;
  Work broadcast(BufferView buffer, int root, const Call& call) override;
  Work all_to_all(ConstBufferView in, BufferView out, const Call& call) override;
  Work gather(ConstBufferView in, BufferView out, int root, const Call& call) override;
  Work scatter(ConstBufferView in, BufferView out, int root, const Call& call) override;
  Work send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from, const Call& call) override;
  Work barrier(const Call& call) override;

  void abort(std::string_view reason) override { group_.abort(reason); }

 private:
  struct Piece;

  // Runs one collective, in which each rank stages `blocks` blocks of signature.count elements: `direct()` on
  // the peers' buffers, or `fill(piece)` and `drain(piece)` before and after the ranks meet.
  template <typename Direct, typename Fill, typename Drain>
  void run(const Call& call, Signature signature, ConstBufferView in, ConstBufferView out, int blocks,
           Direct direct, Fill fill, Drain drain);

  bool everyone_direct() const;
  std::byte* peer_in(int rank) const { return segment_->at(group_.announced(rank).in); }
  std::byte* peer_out(int rank) const { return segment_->at(group_.announced(rank).out); }
  std::byte* staged(int rank, const Piece& piece, int block = 0) const;

  // `out` = the reduction of the ranks' staged elements [first, first + count) of `block`.
  void combine_staged(const Piece& piece, int block, ReduceOp op, DType dtype, std::size_t first,
                      std::size_t count, std::byte* out) const;
  void all_reduce_in_place_of_peers(std::size_t count, ReduceOp op, DType dtype) const;

  std::shared_ptr<Segment> segment_;
  Group group_;
  int half_ = 0;
};

}  // namespace tutti::comm
