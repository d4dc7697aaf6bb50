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
    if (plan.empty() || filled + size > limit || plan.back()[0].tensor.dtype() != tensor.dtype()) {
      plan.emplace_back();
      filled = 0;
    }
    plan.back().push_back(parameter);
    filled += size;
  }
  return plan;
}

Layout::Layout(const NamedTensors& tensors, int shares) {
  const std::int64_t unit = shares > 1 ? kernels::SumSquares::chunk : line;
  for (const auto& [name, tensor] : tensors) {
    offsets.push_back(total);
    total = round_up(total + tensor.numel(), unit);
  }
  share = round_up((total + shares - 1) / shares, unit);
  total = share * shares;
}

}  // namespace tutti::parallel
