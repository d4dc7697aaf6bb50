// Gradients side by side in one piece of memory, reduced together.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "parallel/layout.h"
#include "parallel/slots.h"
#include "parallel/under_way.h"
#include "tutti/comm/communicator.h"
#include "tutti/parallel/gradient_hook.h"
#include "tutti/tensor/named_tensor.h"

namespace tutti::parallel {

// How the buckets of a DataParallel are reduced.
struct Reducing {
  Communicator& comm;
  ReduceOrder order;
  GradientHook* hook;  // or null
  bool overlap;        // start and go on
  bool sharded;        // each rank gets its share of the sum, else all of it
  Slots* slots;  // where gradients are not kept beyond a step: memory that buckets use in turn; else null
};

class Bucket {
 public:
  // The parameters are of one dtype.
  Bucket(NamedTensors parameters, const Reducing& reducing);

  const NamedTensors& parameters() const { return parameters_; }
  const Layout& layout() const { return layout_; }
  std::size_t bytes() const;

  // Lets `backward` add gradients at `level`, or replace with the first what stands there.
  void aim(std::size_t level, bool replace);
  // Names of the parameters whose gradient is not where `aim` put it.
  std::vector<std::string> replaced(std::size_t level) const;
  // Names of those that got no gradient since `aim`.
  std::vector<std::string> missing() const;
  // A logical rank has had its last backward: what is missing counts as zero.
  void complete(std::size_t level);
  // Adds level `level` to the one below it.
  void merge(std::size_t level);

  // Lets a backward pass that does not count add gradients elsewhere, until `put_back` for each parameter.
  void set_aside();
  void put_back(std::size_t parameter);

  // One more gradient of the last micro-batch is complete.
  void mark_ready(std::size_t parameter);
  bool all_ready() const { return ready_count_ == ready_.size(); }
  void reset();

  // Sums level 0 over the ranks.
  void start();
  // What is computed from here on finds the sum.
  void finish();
  // Throws what became of the sums of a GPU by now; `settle` waits for them.
  void watch();
  void settle();
  // Hands the sum to the parameters; none where it is sharded.
  void show();
  // Of the gradients that are kept, and of what a hook needs to reduce them.
  std::size_t gradient_bytes() const;
  std::size_t hook_bytes() const { return hooked_ ? hooked_->bytes() : 0; }
  // This rank's share of the sum, contiguous: elements [rank * share, (rank + 1) * share) of the layout.
  const Tensor& share() const { return share_; }

 private:
  struct Level {
    Tensor flat;
    std::vector<Tensor> gradients;  // views of it
  };

  struct Aside {
    Tensor gradient;
    bool stale, arrived;
  };

  TensorOptions options() const;
  Level make_level(bool in_shared_memory) const;
  void collect(const Tensor& flat);

  NamedTensors parameters_;
  Reducing reducing_;
  Layout layout_;
  std::vector<Level> levels_;  // sums of subtrees, as many as were needed at once; none where slots are used
  std::vector<std::optional<Aside>> aside_;
  std::vector<bool> ready_;
  std::size_t ready_count_ = 0;
  Tensor share_;
  std::unique_ptr<GradientHook::Reduction> hooked_;
  UnderWay reductions_;
  bool under_way_ = false;
};

}  // namespace tutti::parallel
