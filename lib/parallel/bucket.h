// Gradients side by side in one piece of memory, reduced together.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tutti/comm/communicator.h"
#include "tutti/tensor/named_tensor.h"

namespace tutti::parallel {

class Bucket {
 public:
  // Lays a zeroed gradient for each parameter, all of one dtype, into memory of `comm`, and hands it to the
  // parameter.
  Bucket(NamedTensors parameters, Communicator& comm);

  // One more gradient is complete.
  void mark_ready(std::size_t parameter);
  bool all_ready() const { return ready_count_ == ready_.size(); }
  // Averages over the ranks in place.
  void start(Communicator& comm);
  void finish();
  // Forgets what was ready.
  void reset();

  // Names of the parameters whose gradient has not come, or is no longer the one laid here.
  std::vector<std::string> missing() const;
  std::vector<std::string> replaced() const;

 private:
  NamedTensors parameters_;
  std::vector<Tensor> gradients_;
  std::vector<bool> ready_;
  std::size_t ready_count_ = 0;
  Tensor flat_;
  comm::Work work_;
};

// Cuts `parameters` into buckets, in reverse order: backward completes the last ones first. Each has one
// dtype and, unless a single parameter is larger, at most `first_bytes` (the first) or `bytes`.
std::vector<NamedTensors> plan_buckets(const NamedTensors& parameters, std::size_t first_bytes,
                                       std::size_t bytes);

}  // namespace tutti::parallel
