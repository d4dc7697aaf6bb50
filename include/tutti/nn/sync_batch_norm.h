/// \file
/// BatchNorm2d over the global batch.
#pragma once

#include "tutti/comm/communicator.h"
#include "tutti/nn/batch_norm.h"

namespace tutti::nn {

/// BatchNorm2d whose statistics in training are those of the global batch, over the micro-batches of all ranks of
/// `comm`; members, state dict and evaluation are those of BatchNorm2d. The means of the micro-batches, then their
/// mean squared deviations from the global mean, are summed in the tree over the ranks: statistics and running
/// averages have the same bits on every rank.
///
/// In training, forward and backward are collective calls. Gradients are those of the sum of the ranks' losses, as
/// DataParallel has them. `comm` is that of DataParallel and outlives the module and its tapes; reductions of gradients
/// under way are waited for.
class SyncBatchNorm2d : public BatchNorm2d {
 public:
  /// \throws ConfigError unless `channels` is positive.
  SyncBatchNorm2d(std::int64_t channels, Communicator& comm, const BatchNorm2dOptions& options = {});
  /// \throws ShapeError for an `x` that is not [n, channels, h, w]; in training, on every rank, when micro-batches
  ///         differ in their number of values per channel, or there is but one value in all.
  /// \throws DTypeError unless `x` is floating point and the members are of its dtype.
  /// \throws ConfigError in training unless there are as many ranks as logical ranks: those of one rank run one
  ///         after another, and cannot meet in a layer.
  /// \throws CommError, TimeoutError as Communicator::all_reduce.
  Tensor forward(const Tensor& x) override;

 private:
  Communicator* comm_;
  BatchNorm2dOptions options_;
};

}  // namespace tutti::nn
