// When sharded parameters are whole.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "parallel/sharded_parameters.h"
#include "parallel/units.h"

namespace tutti::parallel {

// The parameters of a unit are gathered just before its module computes, forward or backward, and dropped behind it;
// those of the next one are on their way meanwhile. What every rank does in the same order is left out where ranks
// have different numbers of micro-batches: there, all parameters are whole from the first use to the next update.
class Gathering : public std::enable_shared_from_this<Gathering> {
 public:
  // `even`: all ranks have the same number of micro-batches.
  Gathering(Communicator& comm, MemoryPool& pool, std::vector<Unit> units, bool even);
  // Parameters of unit `unit`; several where they are of several dtypes.
  void add(std::size_t unit, ShardedParameters* parameters) { units_[unit].parts.push_back(parameters); }
  // Lets the modules tell when they compute.
  void listen();

  const std::vector<Unit>& units() const { return plan_; }
  bool even() const { return even_; }
  // What computes from here on is run again for the backward pass.
  void begin_backward() { in_backward_ = true; }
  // A unit has all of its gradients.
  void end_backward(std::size_t unit);
  // The backward pass is over.
  void end_backward();
  // Parameters were updated.
  void updated();

  // Makes all whole until `release`, whatever computes meanwhile. What is changed in between counts.
  void hold();
  void release();

 private:
  enum class State { dropped, coming, whole };
  struct Parts {
    std::vector<ShardedParameters*> parts;
    State state = State::dropped;
  };

  void start(std::size_t unit);
  void ensure(std::size_t unit);
  void ensure_all();
  void drop(std::size_t unit);
  void drop_all();
  void before(std::size_t unit);
  Tensor after(std::size_t unit, const Tensor& y);
  void before_backward(std::size_t unit);
  std::size_t next_of(std::size_t unit, bool forward) const;

  Communicator& comm_;
  MemoryPool& pool_;
  std::vector<Unit> plan_;
  std::vector<Parts> units_;
  bool even_;
  int held_ = 0;
  std::size_t pieces_ = 0;  // of the pool, when `hold` began
  bool in_backward_ = false;
  std::vector<std::size_t> order_;  // of the units in the first forward pass
};

}  // namespace tutti::parallel
