// The buffers of a model that change in training: running averages and counters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parallel/tree_schedule.h"
#include "parallel/under_way.h"
#include "tutti/comm/communicator.h"
#include "tutti/nn/module.h"

namespace tutti::parallel {

// Each logical rank moves the buffers from the values that they had before the step. They become the mean over the
// logical ranks, summed in the tree; of integers those of logical rank 0 count.
class Buffers {
 public:
  Buffers(nn::Module& model, const LogicalRanks& ranks);

  // Before the first micro-batch of a step.
  void begin_step();
  // Behind local micro-batch number `leaf`.
  void end_micro_batch(std::size_t leaf, const TreeSchedule& schedule);
  // Behind the last one. A collective call if a buffer has changed.
  void end_step(Communicator& comm);
  // Throws what became of the sums of a GPU by now.
  void watch() { reductions_.watch(); }

 private:
  struct Buffer {
    std::string name;
    Tensor tensor;
    Tensor before;  // of several micro-batches, what each starts from
    std::uint64_t version = 0;
    bool moves = false;  // in this step

    bool changed() const { return tensor.storage()->version() != version; }
  };

  void find_moving(std::size_t leaf);
  Tensor contribution(std::size_t leaf) const;

  LogicalRanks ranks_;
  std::vector<Buffer> buffers_;
  std::vector<Tensor>
      sums_;  // of finished subtrees, in f64, the buffers side by side; undefined where none moves
  UnderWay reductions_;
};

}  // namespace tutti::parallel
