// What `tutti-bench train` trains.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "benchmarks/train.h"
#include "tutti/core/cuda_graph.h"
#include "tutti/nn/module.h"
#include "tutti/optim/adam.h"
#include "tutti/parallel/data_parallel.h"

namespace tutti::bench {

// As Shard has them.
inline constexpr const char* shard_names[] = {"none", "optimizer", "gradients", "parameters"};

// One micro-batch: token ids and the ones that follow, or images and their classes.
struct MicroBatch {
  Tensor inputs;
  Tensor targets;
};

// Random numbers, a function of the logical rank.
MicroBatch micro_batch_of(int logical_rank, const TrainSettings& train);

// In one micro-batch: tokens, or images.
std::int64_t units_of(const TrainSettings& train);
const char* unit_of(const TrainSettings& train);

// A model, with all that it takes to train it. Every step sees the same global batch, but of a text.
class Trainee {
 public:
  Trainee(Communicator& comm, const TrainSettings& train, ReduceOrder order);
  // Returns when it is done, on a GPU as well.
  void step();
  double first_loss() const { return first_loss_; }
  double loss() const;                                           // of the last step
  const std::vector<double>& losses() const { return losses_; }  // of all steps on a text
  std::size_t optimizer_bytes() const;                           // on this rank
  const nn::Module& model() const { return *model_; }
  DataParallelStats stats() const;
  ReduceOrder order() const { return order_; }

 private:
  void alone();
  void read_text();

  Device device_;
  std::unique_ptr<nn::Module> model_;
  std::vector<MicroBatch> batches_;  // of this rank's logical ranks
  ReduceOrder order_;
  std::optional<DataParallel> parallel_;  // none with a graph
  std::optional<optim::AdamW> optimizer_;
  std::optional<cuda::Graph> graph_;
  Tensor loss_;  // of the graph
  double first_loss_ = 0;
  LogicalRanks ranks_;
  std::string text_;
  std::vector<double> losses_;
  std::int64_t steps_ = 0;
};

}  // namespace tutti::bench
