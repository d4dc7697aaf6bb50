#include "tutti/nn/sync_batch_norm.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "autograd/optional.h"
#include "tensor/checks.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/collective.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::nn {
namespace {

void check_ranks(Communicator& comm) {
  const LogicalRanks ranks = comm.logical_ranks();
  if (ranks.count() == comm.size()) return;
  throw ConfigError(fmt::format(
      "SyncBatchNorm2d: in training there are as many ranks as logical ranks, for those of one rank run one "
      "after another and cannot share their statistics; {} rank(s) have {} logical ranks",
      comm.size(), ranks.count()));
}

// Of all ranks, which have to be alike: the mean over them is that of the global batch only then.
std::int64_t values_per_channel(const Tensor& x, Communicator& comm) {
  const std::vector<std::int64_t> mine{x.size(0) * x.size(2) * x.size(3)};
  std::vector<std::int64_t> all(static_cast<std::size_t>(comm.size()));
  comm.all_gather(mine, all);
  const auto other = std::find_if(all.begin(), all.end(), [&](auto count) { return count != all[0]; });
  if (other != all.end()) {
    throw ShapeError(
        fmt::format("SyncBatchNorm2d: micro-batches are of one size; that of rank 0 has {} values per "
                    "channel, that of rank "
                    "{} has {}",
                    all[0], other - all.begin(), *other));
  }
  if (all.size() == 1 && all[0] == 1) {
    throw ShapeError(fmt::format(
        "SyncBatchNorm2d: x {} has a single value per channel, which has no variance to train with",
        x.shape().str()));
  }
  return all[0] * comm.size();
}

// Of each channel, over all ranks. The inner dimensions first: they are in one run.
Tensor global_mean(const Tensor& x, Communicator& comm) {
  return all_reduce(mean(mean(x, {2, 3}), {0}), comm) * (1.0 / comm.size());
}

// average = (1 - momentum) * average + momentum * value
void move_towards(Tensor& average, const Tensor& value, double momentum) {
  average.mul_(1 - momentum).add_(tutti::to(value.detach(), average.dtype()), momentum);
}

Tensor per_channel(const Tensor& x) { return reshape(x, {1, x.numel(), 1, 1}); }

}  // namespace

SyncBatchNorm2d::SyncBatchNorm2d(std::int64_t channels, Communicator& comm, const BatchNorm2dOptions& options)
    : BatchNorm2d(channels, options), comm_(&comm), options_(options) {}

Tensor SyncBatchNorm2d::forward(const Tensor& x) {
  if (!training()) return BatchNorm2d::forward(x);
  if (x.rank() != 4)
    throw ShapeError(fmt::format("SyncBatchNorm2d: x is [n, c, h, w], got {}", x.shape().str()));
  check_floating_point("SyncBatchNorm2d", x);
  autograd::check_parameter("SyncBatchNorm2d", "running mean", x, x.size(1), running_mean);
  check_ranks(*comm_);
  const std::int64_t count = values_per_channel(x, *comm_);
  num_batches_tracked.add_(ones({}, {DType::i64, num_batches_tracked.device()}));
  if (count == 0) return x * 1.0;

  const Tensor images = autograd::widened(x);
  const Tensor average = global_mean(images, *comm_);
  const Tensor centred = images - per_channel(average);
  const Tensor variance = global_mean(square(centred), *comm_);
  const auto n = static_cast<double>(count);
  move_towards(running_mean, average, options_.momentum);
  move_towards(running_var, variance.detach() * (n / (n - 1)), options_.momentum);
  Tensor scale = rsqrt(variance + options_.eps);
  if (weight.defined()) scale = scale * autograd::widened(weight);
  Tensor out = centred * per_channel(scale);
  if (bias.defined()) out = out + per_channel(autograd::widened(bias));
  return tutti::to(out, x.dtype());
}

}  // namespace tutti::nn
