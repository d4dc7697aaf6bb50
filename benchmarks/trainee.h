// What `tutti-bench train` trains.
#pragma once

#include <memory>

#include "benchmarks/train.h"
#include "tutti/nn/module.h"
#include "tutti/optim/adam.h"
#include "tutti/parallel/data_parallel.h"

namespace tutti::bench {

// One micro-batch: token ids and the ones that follow, or images and their classes.
struct MicroBatch {
  Tensor inputs;
  Tensor targets;
};

// Random numbers, a function of the logical rank.
MicroBatch micro_batch_of(int logical_rank, const TrainSettings& train);
std::unique_ptr<nn::Module> make_model(const TrainSettings& train);

// In one micro-batch: tokens, or images.
std::int64_t units_of(const TrainSettings& train);
const char* unit_of(const TrainSettings& train);

// Held by this rank, each storage once.
struct Footprint {
  std::size_t parameters, gradients, optimizer;
};

// A model, with all that it takes to train it. Every step sees the same global batch.
class Trainee {
 public:
  Trainee(Communicator& comm, const TrainSettings& train);
  void step();
  // The mean over the global batch; a collective call.
  double first_loss() { return mean_over_ranks(first_); }
  double last_loss() { return mean_over_ranks(last_); }
  Footprint footprint() const;
  const nn::Module& model() const { return *model_; }

 private:
  double mean_over_ranks(const Tensor& loss);

  Communicator& comm_;
  std::unique_ptr<nn::Module> model_;
  MicroBatch batch_;
  DataParallel parallel_;
  optim::AdamW optimizer_;
  Tensor first_, last_;
};

}  // namespace tutti::bench
