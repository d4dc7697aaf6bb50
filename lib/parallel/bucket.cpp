#include "parallel/bucket.h"

#include <algorithm>
#include <utility>

#include "tutti/autograd/shape.h"
#include "tutti/tensor/creation.h"

namespace tutti::parallel {

Bucket::Bucket(NamedTensors parameters, Communicator& comm)
    : parameters_(std::move(parameters)), ready_(parameters_.size(), false) {
  std::int64_t total = 0;
  for (const auto& [name, tensor] : parameters_) total += tensor.numel();
  const DType dtype = parameters_[0].tensor.dtype();
  const std::size_t bytes = static_cast<std::size_t>(total) * size_of(dtype);
  auto memory = comm.allocate(bytes);
  void* data = memory.get();
  flat_ = from_buffer({data, static_cast<std::size_t>(total), dtype}, {total}, std::move(memory));
  flat_.zero_();
  std::int64_t offset = 0;
  for (auto& [name, tensor] : parameters_) {
    gradients_.push_back(flat_.slice(0, offset, offset + tensor.numel()).reshape(tensor.shape()));
    offset += tensor.numel();
    if (tensor.grad().defined()) gradients_.back().copy_(tensor.grad());
    tensor.set_grad(gradients_.back());
  }
}

void Bucket::mark_ready(std::size_t parameter) {
  if (!ready_[parameter]) ++ready_count_;
  ready_[parameter] = true;
}

void Bucket::start(Communicator& comm) { work_ = comm.all_reduce_async(flat_, ReduceOp::avg); }

void Bucket::finish() { work_.wait(); }

void Bucket::reset() {
  std::fill(ready_.begin(), ready_.end(), false);
  ready_count_ = 0;
}

std::vector<std::string> Bucket::missing() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < ready_.size(); ++i) {
    if (!ready_[i]) names.push_back(parameters_[i].name);
  }
  return names;
}

std::vector<std::string> Bucket::replaced() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < gradients_.size(); ++i) {
    if (!parameters_[i].tensor.grad().is_same(gradients_[i])) names.push_back(parameters_[i].name);
  }
  return names;
}

std::vector<NamedTensors> plan_buckets(const NamedTensors& parameters, std::size_t first_bytes,
                                       std::size_t bytes) {
  std::vector<NamedTensors> plan;
  std::size_t filled = 0;
  for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
    const std::size_t size = static_cast<std::size_t>(it->tensor.numel()) * size_of(it->tensor.dtype());
    const std::size_t limit = plan.size() <= 1 ? first_bytes : bytes;
    if (plan.empty() || filled + size > limit || plan.back()[0].tensor.dtype() != it->tensor.dtype()) {
      plan.emplace_back();
      filled = 0;
    }
    plan.back().push_back(*it);
    filled += size;
  }
  return plan;
}

}  // namespace tutti::parallel
