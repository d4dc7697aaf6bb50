#include "parallel/layout.h"

#include "kernels/optim.h"

namespace tutti::parallel {
namespace {

constexpr std::int64_t line = 64 / sizeof(float);

std::int64_t round_up(std::int64_t n, std::int64_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

std::vector<NamedTensors> plan_buckets(const NamedTensors& parameters, std::size_t first_bytes,
                                       std::size_t bytes) {
  std::vector<NamedTensors> plan;
  std::size_t filled = 0;
  for (const auto& parameter : parameters) {
    const auto& tensor = parameter.tensor;
    const std::size_t size = static_cast<std::size_t>(tensor.numel()) * size_of(tensor.dtype());
    const std::size_t limit = plan.size() <= 1 ? first_bytes : bytes;
    const auto is_alike = [&](const Tensor& other) {
      return other.dtype() == tensor.dtype() && other.device() == tensor.device();
    };
    if (plan.empty() || filled + size > limit || !is_alike(plan.back()[0].tensor)) {
      plan.emplace_back();
      filled = 0;
    }
    plan.back().push_back(parameter);
    filled += size;
  }
  return plan;
}

// Shares as small as can be: a tensor on whose inside a share would start elsewhere is moved on, by less than a chunk.
Layout::Layout(const NamedTensors& tensors, int shares) {
  std::int64_t least = 0;
  for (const auto& [name, tensor] : tensors) least += round_up(tensor.numel(), line);
  share = round_up((least + shares - 1) / shares, line);
  while (!place(tensors, shares)) share += line;
  total = share * shares;
}

bool Layout::place(const NamedTensors& tensors, int shares) {
  constexpr std::int64_t chunk = kernels::SumSquares::chunk;
  offsets.clear();
  std::int64_t end = 0;
  for (const auto& [name, tensor] : tensors) {
    std::int64_t begin = round_up(end, line);
    std::int64_t left = share > 0 ? share - begin % share : 0;  // of the share that it begins in
    if (tensor.numel() > left) {
      begin += left % chunk;
      left -= left % chunk;
      if (left == 0) left = share;
    }
    const bool in_two = tensor.numel() > left, in_three = tensor.numel() > left + share;
    if ((in_two && left % chunk != 0) || (in_three && share % chunk != 0)) return false;
    offsets.push_back(begin);
    end = begin + tensor.numel();
  }
  return end <= share * shares;
}

}  // namespace tutti::parallel
