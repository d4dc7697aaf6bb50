#include "parallel/bucket.h"

#include <algorithm>
#include <utility>

#include "parallel/flat.h"
#include "tutti/autograd/node.h"
#include "tutti/tensor/creation.h"

namespace tutti::parallel {
namespace {

bool& stale(const Tensor& parameter) { return parameter.autograd_meta()->grad_is_stale; }
bool& arrived(const Tensor& parameter) { return parameter.autograd_meta()->grad_arrived; }

}  // namespace

Bucket::Bucket(NamedTensors parameters, const Reducing& reducing)
    : parameters_(std::move(parameters)),
      reducing_(reducing),
      layout_(parameters_, reducing.sharded ? reducing.comm.size() : 1),
      aside_(parameters_.size()),
      ready_(parameters_.size(), false) {
  const bool alone = reducing.comm.size() == 1;
  if (reducing.slots) {
    reducing.slots->reserve(bytes(), options().device);
  } else {
    levels_.push_back(make_level(true));
    // Asked of one rank too: what it refuses, it refuses in any world.
    if (reducing.hook) hooked_ = reducing.hook->reduction(levels_[0].flat, reducing.comm);
    if (alone) hooked_.reset();
  }
  if (!reducing.sharded) return;
  const bool in_place = !levels_.empty() && (alone || hooked_);
  share_ = in_place ? part_of(levels_[0].flat, reducing.comm.rank() * layout_.share, {layout_.share})
                    : shared_flat(reducing.comm, options(), layout_.share);
}

TensorOptions Bucket::options() const {
  const Tensor& one = parameters_[0].tensor;
  return {one.dtype(), one.device()};
}

Bucket::Level Bucket::make_level(bool in_shared_memory) const {
  Level level;
  level.flat = in_shared_memory ? shared_flat(reducing_.comm, options(), layout_.total)
                                : zeros({layout_.total}, options());
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    level.gradients.push_back(part_of(level.flat, layout_.offsets[i], parameters_[i].tensor.shape()));
  }
  return level;
}

std::size_t Bucket::gradient_bytes() const {
  const bool part_of_level =
      share_.defined() && !levels_.empty() && share_.storage() == levels_[0].flat.storage();
  std::size_t sum = share_.defined() && !part_of_level ? share_.storage()->bytes() : 0;
  for (const auto& level : levels_) sum += level.flat.storage()->bytes();
  return sum;
}

std::size_t Bucket::bytes() const {
  return static_cast<std::size_t>(layout_.total) * size_of(parameters_[0].tensor.dtype());
}

void Bucket::aim(std::size_t level, bool replace) {
  while (!reducing_.slots && levels_.size() <= level) levels_.push_back(make_level(false));
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& parameter = parameters_[i].tensor;
    arrived(parameter) = false;
    if (levels_.empty()) {
      parameter.set_grad({});
    } else {
      parameter.set_grad(levels_[level].gradients[i]);
      stale(parameter) = replace;
    }
  }
}

std::vector<std::string> Bucket::replaced(std::size_t level) const {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < parameters_.size() && !levels_.empty(); ++i) {
    const auto& [name, parameter] = parameters_[i];
    if (!parameter.grad().is_same(levels_[level].gradients[i])) names.push_back(name);
  }
  return names;
}

std::vector<std::string> Bucket::missing() const {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : parameters_) {
    if (!arrived(parameter)) names.push_back(name);
  }
  return names;
}

void Bucket::complete(std::size_t level) {
  if (levels_.empty()) return;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& parameter = parameters_[i].tensor;
    Tensor& gradient = levels_[level].gradients[i];
    if (stale(parameter)) {
      gradient.zero_();
    } else if (!arrived(parameter)) {
      gradient.add_(zeros({}, options()));  // else -0 stays, which + 0 is 0 in other worlds
    }
    stale(parameter) = false;
  }
  if (reducing_.hook) reducing_.hook->round(levels_[level].flat);
}

void Bucket::merge(std::size_t level) {
  Tensor& below = levels_[level - 1].flat;
  below.add_(levels_[level].flat);
  if (reducing_.hook) reducing_.hook->round(below);
}

void Bucket::set_aside() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& parameter = parameters_[i].tensor;
    aside_[i] = {parameter.grad(), stale(parameter), arrived(parameter)};
    parameter.set_grad({});
  }
}

void Bucket::put_back(std::size_t i) {
  const auto aside = std::exchange(aside_[i], {});
  if (!aside) return;
  Tensor& parameter = parameters_[i].tensor;
  parameter.set_grad(aside->gradient);
  stale(parameter) = aside->stale;
  arrived(parameter) = aside->arrived;
}

void Bucket::mark_ready(std::size_t parameter) {
  if (!ready_[parameter]) ++ready_count_;
  ready_[parameter] = true;
}

void Bucket::reset() {
  std::fill(ready_.begin(), ready_.end(), false);
  ready_count_ = 0;
}

// Gradients that stand in memory of their own.
void Bucket::collect(const Tensor& flat) {
  Tensor all = flat;
  all.zero_();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& parameter = parameters_[i].tensor;
    if (parameter.grad().defined()) {
      part_of(flat, layout_.offsets[i], parameter.shape()).copy_(parameter.grad());
    }
    parameter.set_grad({});
  }
}

void Bucket::start() {
  Communicator& comm = reducing_.comm;
  Tensor flat = levels_.empty() ? Tensor() : levels_[0].flat;
  if (!flat.defined()) {
    flat = reducing_.slots->take(*this, this->options(), layout_.total);
    collect(flat);
    if (comm.size() == 1) share_.copy_(flat);
  }
  if (comm.size() == 1) return;
  const comm::Options options{.order = reducing_.order};
  if (hooked_) {
    hooked_->start();
  } else if (reducing_.sharded && reducing_.overlap) {
    reductions_.start(comm.reduce_scatter_async(flat, share_, ReduceOp::sum, options), flat.device());
  } else if (reducing_.sharded) {
    comm.reduce_scatter(flat, share_, ReduceOp::sum, options);
  } else if (reducing_.overlap) {
    reductions_.start(comm.all_reduce_async(flat, ReduceOp::sum, options), flat.device());
  } else {
    comm.all_reduce(flat, ReduceOp::sum, options);
  }
  under_way_ = true;
  if (!reducing_.overlap) finish();
}

void Bucket::finish() {
  if (!std::exchange(under_way_, false)) return;
  if (hooked_) return hooked_->finish();
  reductions_.follow();
}

void Bucket::watch() {
  if (hooked_) hooked_->watch();
  reductions_.watch();
}

void Bucket::settle() {
  if (hooked_) hooked_->settle();
  reductions_.settle();
}

void Bucket::show() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].tensor.set_grad(reducing_.sharded ? Tensor() : levels_[0].gradients[i]);
  }
}

}  // namespace tutti::parallel
