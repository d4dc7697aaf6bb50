/// \file
/// What all optimizers have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tutti/tensor/named_tensor.h"

namespace tutti::optim {

/// Parameters that are updated with options of their own.
template <typename Options>
struct ParameterGroup {
  NamedTensors parameters;
  Options options{};
};

/// Updates parameters by their gradients. A parameter without a gradient is left alone, its state too.
///
/// Of a bf16 or f16 parameter the optimizer keeps an f32 copy, "master.<parameter>", which it updates and rounds to the parameter;
/// what else it keeps about it is f32. Where a parameter was changed by others, the copy follows at the next step.
class Optimizer {
 public:
  Optimizer(Optimizer&&) = default;
  Optimizer& operator=(Optimizer&&) = default;
  virtual ~Optimizer() = default;

  /// One update of every parameter that has a gradient; counts as an in-place change for the tape. In a step that a cuda::Graph
  /// captures, each replay is an update with its own count and learning rate; the optimizer then has to stay where it is.
  void step();
  /// Zeroes the gradients in place; `set_to_none` drops them instead. Gradients may be views into buckets, so
  /// they are kept by default.
  void zero_grad(bool set_to_none = false);

  /// The learning rate of the first group, and of group number `group`.
  /// \throws ConfigError when there is no such group, as the next but one.
  double lr(std::size_t group = 0) const { return rates_[checked(group)]; }
  /// Of all groups: `optimizer.set_lr(schedule(step))`.
  void set_lr(double lr);
  void set_lr(double lr, std::size_t group) { rates_[checked(group)] = lr; }
  std::size_t group_count() const { return rates_.size(); }

  /// What is kept about each parameter, in its shape, as in "exp_avg"; "master" last, if there are 16-bit ones.
  const std::vector<std::string>& state_names() const { return state_names_; }

  /// "kind" (u8 [32]: the optimizer's name and zeros), "step.<parameter>" (i64, how often it was updated), the moments, such as
  /// "exp_avg.<parameter>", and "master.<parameter>" of 16-bit ones: handles that share storage with the optimizer. Learning rates and other
  /// options are the program's, not state.
  NamedTensors state_dict() const;
  /// \throws DataError naming what is missing, unexpected or of another shape, or both optimizers where the state is
  ///         another's; nothing is changed then.
  void load_state_dict(const NamedTensors& state, bool strict = true);
  /// For checkpoints, which are read into the tensors themselves: see InPlaceStateful. All but "kind".
  NamedTensors in_place() const;
  void load_rest(const NamedTensors& rest) { load_state_dict(rest, false); }
  void loaded();

 protected:
  /// A parameter and what the optimizer keeps about it, in the order of `state_names`.
  struct Slot {
    std::string name;
    Tensor parameter;
    std::size_t group;
    Tensor step;
    std::vector<Tensor> state;
    Tensor master{};                         ///< undefined but for 16-bit parameters
    std::optional<std::uint64_t> version{};  ///< of the elements that the master was made of, or made

    std::int64_t steps() const { return *step.data<std::int64_t>(); }
  };
  /// One update of a parameter, number `slot.steps()` from 1 on; `grad` is contiguous.
  struct Update {
    const Slot& slot;
    Tensor grad;

    const Tensor& parameter() const { return slot.parameter; }
    void* master() const { return slot.master.defined() ? slot.master.raw_data() : nullptr; }
  };

  /// `name` is that of the optimizer, for messages.
  Optimizer(const char* name, std::vector<std::string> state_names)
      : name_(name), moments_(state_names.size()), state_names_(std::move(state_names)) {}

  /// To be called once for each group by the constructors.
  /// \throws ConfigError for a parameter that is named twice, is not contiguous or does not require a
  ///         gradient.
  void add_group(const NamedTensors& parameters, double lr);

  /// Makes all updates of a step on one device, which a GPU does together.
  virtual void update(Device device, const std::vector<Update>& updates) = 0;

 private:
  std::size_t checked(std::size_t group) const;
  void follow_parameters();

  const char* name_;
  std::size_t moments_;
  std::vector<std::string> state_names_;
  std::vector<double> rates_;
  std::vector<Slot> slots_;
};

}  // namespace tutti::optim
