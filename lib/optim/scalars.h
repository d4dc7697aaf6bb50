// What changes from step to step, for kernels that update many tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "kernels/replayed.h"

namespace tutti::optim {

// Gives tensors[i] the scalars `of(group, step)` of updates[i]. In a CUDA graph each replay has those of its own step: `of` must
// live as long as the graph. Tensors of the same ones share them, so that they are updated together.
template <typename Args, typename Updates, typename F>
void set_scalars(Device device, std::vector<Args>& tensors, const Updates& updates, F of) {
  using Scalars = decltype(Args::scalars);
  std::map<std::pair<std::size_t, std::int64_t>, const Scalars*> known;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& slot = updates[i].slot;
    if (!cuda::is_capturing()) {
      tensors[i].scalars = of(slot.group, slot.steps());
      continue;
    }
    const Scalars*& there = known[{slot.group, slot.steps()}];
    if (!there)
      there = kernels::replayed<Scalars>(device, [of, &slot] { return of(slot.group, slot.steps()); });
    tensors[i].on_device = there;
  }
}

}  // namespace tutti::optim
