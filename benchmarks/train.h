// Steps of data-parallel training.
#pragma once

#include <cstdint>
#include <string>

#include "benchmarks/settings.h"
#include "tutti/comm/communicator.h"

namespace tutti::bench {

struct TrainSettings {
  std::string model = "gpt";  // or "cnn", "mlp"
  std::int64_t micro_batch = 4;
  int steps = 20;
  int warmup = 3;
  std::int64_t layers = 6, width = 384, heads = 6, context = 256, vocabulary = 65;  // of gpt
  double dropout = 0;
  double lr = 3e-4;
  int logical_ranks = 0;       // 0: those of the communicator
  std::string order = "tree";  // or "any"; or "both", by turns
  std::string shard = "none";
  bool overlap = true;
  std::string device = "cpu";
  DType dtype = DType::f32;
  bool graph = false;
  std::string text;  // a file whose bytes a gpt is trained on
  std::string save;  // a file for the model and the data before the first step
};

// Every rank calls it. Returns the exit code.
int measure_training(Communicator& comm, const Settings& settings, const TrainSettings& train);

}  // namespace tutti::bench
