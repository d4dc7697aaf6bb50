// The collectives over MPI alone.
#pragma once

#include <memory>
#include <vector>

#include "comm/mpi/group.h"
#include "comm/mpi/make.h"
#include "tutti/comm/backend.h"
#include "tutti/core/error.h"

namespace tutti::comm {

class MpiBackend : public Backend {
 public:
  MpiBackend(std::unique_ptr<MpiGroup> group, const MpiOptions& options)
      : group_(std::move(group)), options_(options) {}

  std::string_view name() const override { return "mpi"; }
  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  Completion completion() const override {
    return group_->session()->threaded() ? Completion::on_return : Completion::on_return_same_thread;
  }

  std::unique_ptr<Backend> split(int color, int key, const Call& call) override;
  Work all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) override;
  Work all_gather(ConstBufferView in, BufferView out, const Call& call) override;
  Work broadcast(BufferView buffer, int root, const Call& call) override;
  Work all_to_all(ConstBufferView in, BufferView out, const Call& call) override;
  Work gather(ConstBufferView in, BufferView out, int root, const Call& call) override;
  Work scatter(ConstBufferView in, BufferView out, int root, const Call& call) override;
  Work send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from, const Call& call) override;
  Work barrier(const Call& call) override;
  void abort(std::string_view reason) override { group_->abort(reason); }

 protected:
  MpiGroup& group() { return *group_; }

  // Runs `body(running, signature)`; whatever it throws, the group has failed.
  template <typename Body>
  Work run(const Call& call, const Signature& signature, Body body) {
    return guarded(call, [&](const Running& running) { body(arrive(running, signature), signature); });
  }

 private:
  // What comes before every collective; returns how long the rest of it may take.
  virtual Running arrive(const Running& running, const Signature&) { return running; }
  // What comes after a failure.
  virtual void gave_up() {}

  template <typename Body>
  Work guarded(const Call& call, Body body) {
    const Running running(call);
    group_->check_alive(running);
    try {
      body(running);
    } catch (const std::exception& error) {
      // A CommError was told already, or nobody knows whose it is; anything else is this rank's.
      const int responsible = dynamic_cast<const CommError*>(&error) ? -1 : rank();
      group_->give_up({call.name, call.sequence, responsible, false, error.what()});
      gave_up();
      throw;
    }
    return {};
  }

  // A link to every other rank, the nearest first, with `out(rank)` and `in(rank)`.
  template <typename Out, typename In>
  std::vector<Link> links(Out out, In in) const {
    std::vector<Link> links;
    for (int step = 1; step < size(); ++step) {
      const int peer = (rank() + step) % size();
      links.push_back({peer, out(peer), in(peer)});
    }
    return links;
  }

  std::unique_ptr<MpiGroup> group_;
  MpiOptions options_;
};

}  // namespace tutti::comm
