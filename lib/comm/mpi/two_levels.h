// Ranks on several nodes: shared memory within a node, MPI between.
#pragma once

#include <memory>
#include <vector>

#include "comm/mpi/backend.h"
#include "comm/mpi/partial.h"
#include "tutti/core/error.h"

namespace tutti::comm {

// For nodes of equally many ranks that follow each other. The ranks of equal place on their nodes form a rail:
// each rank speaks over MPI only within its own, so that all of a node share the work. What gains
// nothing from two levels goes over MPI alone, once the ranks of the node have met.
class TwoLevelBackend final : public MpiBackend {
 public:
  TwoLevelBackend(std::unique_ptr<MpiGroup> group, const MpiOptions& options, std::unique_ptr<Backend> node);

  std::shared_ptr<void> allocate(std::size_t bytes) override { return node_->allocate(bytes); }
  Work all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work all_gather(ConstBufferView in, BufferView out, const Call& call) override;
  Work broadcast(BufferView buffer, int root, const Call& call) override;
  Work barrier(const Call& call) override;
  void abort(std::string_view reason) override;

 private:
  Running arrive(const Running& running, const Signature& signature) override;
  void gave_up() override;

  // Whether a reduction gains from two levels, and keeps its order.
  bool two_levels_for(BufferView out, ReduceOp op, ReduceOrder order) const;
  std::size_t nodes() const { return rail_.size(); }
  int first_of(std::size_t node) const { return static_cast<int>(node) * node_->size(); }
  // A link to every other rank of the rail, with `out(node)` and `in(node)`.
  template <typename Out, typename In>
  std::vector<Link> links(Out out, In in) const {
    std::vector<Link> links;
    for (std::size_t step = 1; step < nodes(); ++step) {
      const std::size_t peer = (my_node_ + step) % nodes();
      links.push_back({rail_[peer], out(peer), in(peer)});
    }
    return links;
  }

  // Runs `body(call)` on the node's back end.
  template <typename Body>
  void on_node(const Running& running, Body body) {
    try {
      body(Call{running.name, running.sequence, running.left()});
    } catch (const TimeoutError& error) {
      node_failed(running, error, true);
    } catch (const CommError& error) {
      node_failed(running, error, false);
    }
  }
  // Fails with the node's error, in the numbers of the whole group.
  [[noreturn]] void node_failed(const Running& running, const CommError& error, bool timeout);

  void reduce_at_once(const Running& running, const Signature& signature, const Partial& partial,
                      ConstBufferView in, BufferView out);
  void reduce_in_pieces(const Running& running, const Signature& signature, const Partial& partial,
                        ConstBufferView in, BufferView out);
  void reduce_blocks(const Running& running, const Signature& signature, const Partial& partial,
                     ConstBufferView in, BufferView out);

  std::unique_ptr<Backend> node_;
  std::vector<int> rail_;  // the ranks, by node
  std::size_t my_node_;
  std::uint64_t meetings_ = 0;
};

}  // namespace tutti::comm
