/// \file
/// How gradients travel between ranks.
#pragma once

#include <cstddef>
#include <memory>

#include "tutti/comm/communicator.h"
#include "tutti/tensor/tensor.h"

namespace tutti {

/// Replaces the all-reduce of gradient buckets, to compress them, say. One object serves one DataParallel.
class GradientHook {
 public:
  virtual ~GradientHook() = default;

  /// What is done to every summand of the tree over the logical ranks, in place: the gradients of each, and each sum
  /// of two, before anything is added to it. If what a rank has is rounded here as on its way, the sum does not
  /// depend on which summands travel. Does nothing unless overridden.
  virtual void round(const Tensor& gradients);

  /// The way of one bucket.
  class Reduction {
   public:
    virtual ~Reduction() = default;
    /// Begins to sum the bucket over the ranks, and may return before that is done.
    virtual void start() = 0;
    /// When it returns, the sum stands in the bucket of every rank; or, on a GPU, for what this thread then queues.
    virtual void finish() = 0;
    /// Where `finish` leaves collectives of a GPU under way: throws what became of them by now.
    virtual void watch() {}
    /// Waits for them.
    virtual void settle() {}
    /// Of memory that it holds beside the bucket, for DataParallelStats.
    virtual std::size_t bytes() const { return 0; }
  };
  /// `gradients` is a contiguous tensor [n]: a whole bucket, the same on every rank.
  virtual std::unique_ptr<Reduction> reduction(const Tensor& gradients, Communicator& comm) = 0;
};

/// Gradients travel as bf16, half the bytes of f32. Each gradient of a logical rank, and each sum of two, is computed
/// in f32 and rounded to bf16, wherever it is computed: the same bits in any world.
class Bf16Gradients : public GradientHook {
 public:
  void round(const Tensor& gradients) override;
  std::unique_ptr<Reduction> reduction(const Tensor& gradients, Communicator& comm) override;
};

}  // namespace tutti
