/// \file
/// Learning rates as functions of the step, which counts from 0: `optimizer.set_lr(schedule(step))`. They
/// have no state, so a run that resumes at a step needs none.
#pragma once

#include <cstdint>

namespace tutti::optim {

/// Rises linearly over `warmup` steps to `lr` (step 0 has lr / (warmup + 1)), then falls along half a cosine
/// to `final_lr`, reached at step `steps` and kept.
struct WarmupCosine {
  double lr;
  std::int64_t warmup = 0;
  std::int64_t steps;
  double final_lr = 0;

  double operator()(std::int64_t step) const;
};

/// The same with a straight line down.
struct WarmupLinear {
  double lr;
  std::int64_t warmup = 0;
  std::int64_t steps;
  double final_lr = 0;

  double operator()(std::int64_t step) const;
};

}  // namespace tutti::optim
