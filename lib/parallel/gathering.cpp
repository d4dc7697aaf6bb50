#include "parallel/gathering.h"

#include <algorithm>

#include "tutti/autograd/grad_mode.h"
#include "tutti/autograd/node.h"

namespace tutti::parallel {
namespace {

constexpr std::size_t model = 0;  // the unit of what the whole model uses

}  // namespace

Gathering::Gathering(Communicator& comm, MemoryPool& pool, std::vector<Unit> units, bool even)
    : comm_(comm), pool_(pool), plan_(std::move(units)), units_(plan_.size()), even_(even) {}

void Gathering::listen() {
  for (std::size_t unit = 0; unit < plan_.size(); ++unit) {
    plan_[unit].module->register_forward_pre_hook([self = weak_from_this(), unit](const Tensor&) {
      if (const auto alive = self.lock()) alive->before(unit);
    });
    plan_[unit].module->register_forward_hook(
        [self = weak_from_this(), unit](const Tensor&, const Tensor& y) {
          const auto alive = self.lock();
          return alive ? alive->after(unit, y) : y;
        });
  }
}

void Gathering::start(std::size_t unit) {
  if (units_[unit].state != State::dropped) return;
  for (auto* part : units_[unit].parts) part->start_gather(comm_);
  units_[unit].state = State::coming;
}

void Gathering::ensure(std::size_t unit) {
  start(unit);
  if (units_[unit].state == State::whole) return;
  for (auto* part : units_[unit].parts) part->finish_gather();
  units_[unit].state = State::whole;
}

void Gathering::ensure_all() {
  for (std::size_t unit = 0; unit < units_.size(); ++unit) start(unit);
  for (std::size_t unit = 0; unit < units_.size(); ++unit) ensure(unit);
}

void Gathering::drop(std::size_t unit) {
  if (units_[unit].state == State::dropped) return;
  for (auto* part : units_[unit].parts) part->drop();
  units_[unit].state = State::dropped;
}

void Gathering::drop_all() {
  for (std::size_t unit = 0; unit < units_.size(); ++unit) drop(unit);
}

std::size_t Gathering::next_of(std::size_t unit, bool forward) const {
  const auto place = std::ranges::find(order_, unit);
  if (place == order_.end()) return unit;
  if (forward) return place + 1 == order_.end() ? unit : *(place + 1);
  return place == order_.begin() ? unit : *(place - 1);
}

void Gathering::before(std::size_t unit) {
  if (held_ > 0) return;
  if (!even_) return ensure_all();
  if (std::ranges::find(order_, unit) == order_.end()) order_.push_back(unit);
  ensure(unit);
  start(next_of(unit, !in_backward_));
}

Tensor Gathering::after(std::size_t unit, const Tensor& y) {
  if (!even_) return y;
  const bool backward_comes = grad_enabled() && y.requires_grad();
  // Backward begins with what the model itself uses, or with what is run again for it.
  if (held_ == 0 && !in_backward_ && !(unit == model && backward_comes)) drop(unit);
  if (!backward_comes) return y;
  return autograd::record("gather", y.detach(), {y},
                          [self = weak_from_this(), unit](const Tensor& gradient, autograd::Needs) {
                            if (const auto alive = self.lock()) alive->before_backward(unit);
                            return autograd::Gradients{gradient};
                          });
}

void Gathering::before_backward(std::size_t unit) {
  if (held_ > 0) return;
  ensure(unit);
  start(next_of(unit, false));
}

void Gathering::end_backward(std::size_t unit) {
  if (even_ && held_ == 0) drop(unit);
}

void Gathering::end_backward() {
  in_backward_ = false;
  if (even_ && held_ == 0) drop_all();
}

void Gathering::updated() {
  if (held_ == 0) return drop_all();
  drop_all();
  ensure_all();
}

void Gathering::hold() {
  if (held_ == 0) {
    pieces_ = pool_.pieces();
    ensure_all();
  }
  ++held_;
}

void Gathering::release() {
  if (--held_ > 0) return;
  for (auto& unit : units_) {
    if (unit.state != State::whole) continue;  // a collective has failed
    for (auto* part : unit.parts) part->keep_share();
  }
  if (!even_) return;
  drop_all();
  pool_.shrink(pieces_);
}

}  // namespace tutti::parallel
