#include "tutti/optim/schedule.h"

#include <cmath>
#include <numbers>

namespace tutti::optim {
namespace {

// `fall` maps the part of the way down, in [0, 1], to what is left of the difference.
template <typename Schedule, typename F>
double rate(const Schedule& s, std::int64_t step, F fall) {
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  if (step < s.warmup) return s.lr * real(step + 1) / real(s.warmup + 1);
  if (step >= s.steps) return s.final_lr;
  return s.final_lr + (s.lr - s.final_lr) * fall(real(step - s.warmup) / real(s.steps - s.warmup));
}

}  // namespace

double WarmupCosine::operator()(std::int64_t step) const {
  return rate(*this, step, [](double part) { return 0.5 * (1 + std::cos(std::numbers::pi * part)); });
}

double WarmupLinear::operator()(std::int64_t step) const {
  return rate(*this, step, [](double part) { return 1 - part; });
}

}  // namespace tutti::optim
