// The engine of the back ends threads and shm.
#pragma once

#include <memory>
#include <vector>

#include "comm/shared/group.h"

namespace tutti::comm {

// Reductions are direct: each rank combines elements of all ranks at once, in the tree of kernels/combine.h,
// so the result does not depend on how the buffer was cut. Where every buffer of a collective lies in memory
// that all ranks reach, they read and write each other's; otherwise the data goes through memory of each pair of
// ranks, a piece at a time. What is small always does, for it saves a phase.
class SharedBackend final : public Backend {
 public:
  SharedBackend(std::shared_ptr<Segment> segment, int rank);

  // Meets all ranks for the first time, where they come one by one.
  void join(std::chrono::milliseconds timeout);

  std::string_view name() const override { return segment_->name(); }
  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }

  std::unique_ptr<Backend> split(int color, int key, const Call& call) override;
  std::unique_ptr<Backend> shrink(const Call& call) override;
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
  // Where a rank's buffers are, as `Segment::locate` tells it.
  struct Places {
    std::uint64_t in;
    std::uint64_t out;
  };
  // What each rank gave; of this rank itself, nothing that is used.
  using Given = std::vector<const std::byte*>;

  // Runs one collective in which each rank has signature.count elements for each other one. What is small is given and
  // taken at once, by `give(piece, peer, to)` and `take(piece, given)`. What is not is done by `direct()` on the
  // peers' buffers, or where some cannot be reached by `large(piece)`: by default piece by piece.
  template <typename Direct, typename Give, typename Take, typename Large>
  void run(const Call& call, const Signature& signature, ConstBufferView in, ConstBufferView out,
           Direct direct, Give give, Take take, Large large);
  template <typename Direct, typename Give, typename Take>
  void run(const Call& call, const Signature& signature, ConstBufferView in, ConstBufferView out,
           Direct direct, Give give, Take take);
  void all_reduce_in_slices(ConstBufferView in, BufferView out, ReduceOp op, const Piece& whole,
                            const Call& call);

  static std::size_t index(int rank) { return static_cast<std::size_t>(rank); }
  std::size_t ranks() const { return from_.size(); }
  std::byte* peer_in(int rank) const { return segment_->at(places_[index(rank)].in); }
  std::byte* peer_out(int rank) const { return segment_->at(places_[index(rank)].out); }

  std::shared_ptr<Segment> segment_;
  Group group_;
  std::uint32_t block_number_ = 0;
  // Of the collective under way, one for each rank.
  std::vector<Places> places_;
  Given from_;
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
};

}  // namespace tutti::comm
