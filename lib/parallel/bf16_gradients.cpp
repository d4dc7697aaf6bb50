#include <fmt/format.h>

#include "kernels/combine.h"
#include "parallel/flat.h"
#include "parallel/under_way.h"
#include "tutti/core/error.h"
#include "tutti/core/tree.h"
#include "tutti/parallel/gradient_hook.h"

namespace tutti {
namespace {

// A direct reduce-scatter and an all-gather. Each sum of two is rounded, so it cannot be left to a collective, which
// rounds once.
class Bf16Reduction : public GradientHook::Reduction {
 public:
  Bf16Reduction(const Tensor& gradients, Communicator& comm)
      : gradients_(gradients),
        comm_(comm),
        slice_((gradients.numel() + comm.size() - 1) / comm.size()),
        sent_(parallel::shared_flat(comm, {DType::bf16, gradients.device()}, slice_ * comm.size())),
        received_(parallel::shared_flat(comm, {DType::bf16, gradients.device()}, slice_ * comm.size())) {}

  void start() override {
    parallel::part_of(sent_, 0, gradients_.shape()).copy_(gradients_);
    under_way_.start(comm_.all_to_all_async(sent_, received_), sent_.device());
  }

  void finish() override {
    under_way_.follow();
    add_up(0, static_cast<std::size_t>(comm_.size()));
    parallel::part_of(sent_, comm_.rank() * slice_, {slice_}).copy_(block(0));
    if (sent_.device().is_cpu()) {
      comm_.all_gather(sent_);
    } else {
      under_way_.start(comm_.all_gather_async(sent_), sent_.device());
      under_way_.follow();
    }
    gradients_.copy_(parallel::part_of(sent_, 0, gradients_.shape()));
  }

  void watch() override { under_way_.watch(); }
  void settle() override { under_way_.settle(); }
  std::size_t bytes() const override { return sent_.storage()->bytes() + received_.storage()->bytes(); }

 private:
  Tensor block(std::size_t rank) const {
    return parallel::part_of(received_, static_cast<std::int64_t>(rank) * slice_, {slice_});
  }

  // The subtree over `count` ranks into the block of the first of them.
  void add_up(std::size_t first, std::size_t count) {
    if (count == 1) return;
    const std::size_t left = left_leaves(count);
    add_up(first, left);
    add_up(first + left, count - left);
    const void* const halves[] = {block(first).raw_data(), block(first + left).raw_data()};
    kernels::launch<kernels::Combine>(received_.device(), ReduceOp::sum, DType::bf16,
                                      static_cast<std::size_t>(slice_), halves, block(first).raw_data());
  }

  Tensor gradients_;
  Communicator& comm_;
  std::int64_t slice_;  // of each rank
  Tensor sent_, received_;
  parallel::UnderWay under_way_;
};

}  // namespace

void GradientHook::round(const Tensor&) {}

void Bf16Gradients::round(const Tensor& gradients) {
  Tensor rounded = gradients;
  rounded.copy_(gradients.to(DType::bf16));
}

std::unique_ptr<GradientHook::Reduction> Bf16Gradients::reduction(const Tensor& gradients,
                                                                  Communicator& comm) {
  if (gradients.dtype() != DType::f32) {
    throw DTypeError(fmt::format("Bf16Gradients: gradients are f32, got {}", name_of(gradients.dtype())));
  }
  return std::make_unique<Bf16Reduction>(gradients, comm);
}

}  // namespace tutti
