#include "parallel/buffers.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "nn/walk.h"
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

std::vector<double> Buffers::contribution(std::size_t leaf) const {
  const bool first = ranks_.first() == 0 && leaf == 0;
  std::vector<double> values;
  for (const auto& buffer : buffers_) {
    if (!buffer.moves) continue;
    const bool counts = is_floating_point(buffer.tensor.dtype()) || first;
    for (const double value : buffer.tensor.to(DType::f64).to_vector<double>()) {
      values.push_back(counts ? value : 0);
    }
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
    std::ranges::transform(sums_.back(), top, sums_.back().begin(), std::plus());
  }
  if (leaf + 1 == schedule.leaves()) return;
  for (auto& buffer : buffers_) {
    if (!buffer.moves) continue;
    buffer.tensor.copy_(buffer.before);
    buffer.version = buffer.tensor.storage()->version();
  }
}

void Buffers::end_step(Communicator& comm) {
  auto& sum = sums_.front();
  if (!sum.empty() && comm.size() > 1) comm.all_reduce(sum);
  auto value = sum.cbegin();
  for (auto& buffer : buffers_) {
    if (!buffer.moves) continue;
    Tensor& tensor = buffer.tensor;
    const double scale = is_floating_point(tensor.dtype()) ? 1.0 / ranks_.count() : 1.0;
    std::vector<double> mean(static_cast<std::size_t>(tensor.numel()));
    for (double& one : mean) one = *value++ * scale;
    tensor.copy_(from_host(ConstBufferView(mean), tensor.shape()));
  }
}

}  // namespace tutti::parallel
