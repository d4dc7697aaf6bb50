/// \file
/// Training one model on several ranks, each with its share of the batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tutti/comm/communicator.h"
#include "tutti/nn/module.h"

namespace tutti {

struct DataParallelOptions {
  std::size_t first_bucket_bytes = 1 << 20;  ///< small, so that the first reduction starts early in backward
  std::size_t bucket_bytes = 25 << 20;
  /// A parameter that got no gradient is an error that names it; or, if this is set, counts as zero.
  bool allow_unused = false;
};

/// Keeps the copies of a model on all ranks equal. Making one gives every rank the parameters and buffers of
/// rank 0 and lays the gradients into flat buckets in memory of the communicator; `backward` averages them
/// over the ranks, bucket by bucket, in the order in which the backward pass completes them. If each rank's
/// loss is the mean over a share of the batch of the same size, the gradients are those of the whole batch.
///
///     DataParallel parallel(model, world);
///     parallel.backward(cross_entropy(model(x), y));
///     optimizer.step();
///     optimizer.zero_grad();
///
/// Gradients stay views into the buckets: zero them in place, don't replace them. Random generators of the
/// model (dropout) are moved to a stream of their own on each rank. The model and the communicator outlive
/// this object.
class DataParallel {
 public:
  /// \throws ConfigError on every rank when the models of the ranks differ in a name, shape or dtype; it is
  ///         named.
  DataParallel(nn::Module& model, Communicator& comm, const DataParallelOptions& options = {});
  ~DataParallel();
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  /// Runs `loss.backward()` and returns when the gradients of all ranks are averaged. A collective call.
  /// \throws AutogradError naming parameters that got no gradient, or whose gradient was replaced.
  void backward(const Tensor& loss);

  /// While it lives, `backward` adds gradients up on this rank only; the next one outside of it reduces the
  /// sum.
  ///
  ///     { auto local = parallel.no_sync(); parallel.backward(first_loss); }
  ///     parallel.backward(second_loss);
  class [[nodiscard]] NoSync {
   public:
    explicit NoSync(DataParallel& parallel);
    ~NoSync();
    NoSync(const NoSync&) = delete;
    NoSync& operator=(const NoSync&) = delete;

   private:
    DataParallel& parallel_;
    bool before_;
  };
  NoSync no_sync() { return NoSync(*this); }

  /// Gives every rank the buffers of rank 0 (running averages of BatchNorm2d, which each rank keeps of its
  /// own share): before an evaluation or a save that is to be the same everywhere. A collective call.
  void broadcast_buffers();

 private:
  struct Engine;

  nn::Module& model_;
  Communicator& comm_;
  std::shared_ptr<Engine> engine_;
};

}  // namespace tutti
