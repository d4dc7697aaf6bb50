// Small training runs that use everything which could make bits depend on the world.
#pragma once

#include <string>

#include "tutti/comm/communicator.h"
#include "tutti/parallel/data_parallel.h"

namespace tutti::test {

struct Workload {
  std::string model = "mlp";  // mlp: dropout; cnn: batch norm; gpt: dropout, clipping, accumulation, bf16
  Shard shard = Shard::none;
  ReduceOrder order = ReduceOrder::tree;
  int steps = 50;
  std::string checkpoints{};  // a directory to go on from, and to save to after the last step
};

// `none`, `optimizer`, ...
Shard shard_of(const std::string& name);

// Trains on `world` and tells the loss of the last step, in hexadecimal, and the fingerprint of the weights, buffers and
// optimizer's state: one line, the same on every rank.
std::string run(const Workload& workload, Communicator& world);

}  // namespace tutti::test
