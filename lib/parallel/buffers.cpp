#include "parallel/buffers.h"

#include <fmt/format.h>

#include <algorithm>

#include "nn/walk.h"
#include "parallel/flat.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::parallel {

Buffers::Buffers(nn::Module& model, const LogicalRanks& ranks) : ranks_(ranks) {
  nn::Walk{.parameter = {},
           .buffer =
               [&](const std::string& name, Tensor& tensor) {
                 const auto is_same = [&](const Buffer& other) { return other.tensor.is_same(tensor); };
                 if (tensor.defined() && std::ranges::none_of(buffers_, is_same))
                   buffers_.push_back({name, tensor, {}});
               },
           .generator = {},
           .module = {}}(model);
  begin_step();
}

void Buffers::begin_step() {
  for (auto& buffer : buffers_) {
    if (ranks_.local_count() > 1) {
      if (!buffer.before.defined()) buffer.before = buffer.tensor.detach().clone();
      buffer.before.copy_(buffer.tensor);
    }
    buffer.version = buffer.tensor.storage()->version();
    buffer.moves = false;
  }
}

void Buffers::find_moving(std::size_t leaf) {
  for (auto& buffer : buffers_) {
    if (leaf == 0) buffer.moves = buffer.changed();
    if (buffer.changed() == buffer.moves) continue;
    throw ConfigError(
        fmt::format("data parallel: the buffer {} changes in some micro-batches of a step, and not in others",
                    buffer.name));
  }
}

Tensor Buffers::contribution(std::size_t leaf) const {
  const bool first = ranks_.first() == 0 && leaf == 0;
  std::int64_t count = 0;
  Device device;
  for (const auto& buffer : buffers_) {
    if (!buffer.moves) continue;
    count += buffer.tensor.numel();
    device = buffer.tensor.device();
  }
  if (count == 0) return {};
  const Tensor values = zeros({count}, {DType::f64, device});
  std::int64_t at = 0;
  for (const auto& buffer : buffers_) {
    if (!buffer.moves) continue;
    const bool counts = is_floating_point(buffer.tensor.dtype()) || first;
    if (counts) part_of(values, at, buffer.tensor.shape()).copy_(buffer.tensor.detach());
    at += buffer.tensor.numel();
  }
  return values;
}

void Buffers::end_micro_batch(std::size_t leaf, const TreeSchedule& schedule) {
  find_moving(leaf);
  sums_.resize(schedule.level(leaf));
  sums_.push_back(contribution(leaf));
  for (std::size_t i = 0; i < schedule.merges(leaf); ++i) {
    const auto top = std::move(sums_.back());
    sums_.pop_back();
    if (top.defined()) sums_.back().add_(top);
  }
  if (leaf + 1 == schedule.leaves()) return;
  for (auto& buffer : buffers_) {
    if (!buffer.moves) continue;
    buffer.tensor.copy_(buffer.before);
    buffer.version = buffer.tensor.storage()->version();
  }
}

void Buffers::end_step(Communicator& comm) {
  const Tensor sum = sums_.front();
  if (!sum.defined()) return;
  if (comm.size() > 1 && sum.device().is_cpu()) comm.all_reduce(sum);
  if (comm.size() > 1 && sum.device().is_cuda()) {
    reductions_.start(comm.all_reduce_async(sum), sum.device());
    reductions_.follow();
  }
  std::int64_t at = 0;
  for (auto& buffer : buffers_) {
    if (!buffer.moves) continue;
    Tensor& tensor = buffer.tensor;
    const double scale = is_floating_point(tensor.dtype()) ? 1.0 / ranks_.count() : 1.0;
    tensor.copy_(part_of(sum, at, tensor.shape()).mul_(scale));
    at += tensor.numel();
  }
}

}  // namespace tutti::parallel
