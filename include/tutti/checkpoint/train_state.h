/// \file
/// What a checkpoint holds: the parts of a training run.
#pragma once

#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tutti/tensor/fingerprint.h"
#include "tutti/tensor/named_tensor.h"
#include "tutti/tensor/random.h"
#include "tutti/tensor/sharded_tensor.h"

namespace tutti {

/// The parts of a run whose state is saved and put back together: `TrainState{model, optimizer, batches}`. It
/// refers to them, and they must outlive it. A part is anything with `state_dict` and `load_state_dict`; one that is spread
/// over ranks has `shards` and `load_shards` too, and is saved without being gathered.
class TrainState {
 public:
  struct Part {
    std::string role;
    std::function<NamedTensors()> state_dict;
    std::function<void(const NamedTensors&)> load_state_dict;
    /// What this rank has of it, and how it takes the local parts of these back; none where every rank has the whole.
    std::function<ShardedTensors()> shards{};
    std::function<void(const NamedTensors&)> load_shards{};
    /// As of InPlaceStateful; none where it can only be handed its state.
    std::function<NamedTensors()> in_place{};
    std::function<void(const NamedTensors&)> load_rest{};
    std::function<void()> loaded{};
  };

  /// The roles go by place: "model", "optimizer", "data". The generators of the model (those of dropout, say) are
  /// the part "random": their seeds and positions. Further parts are added by name.
  template <Stateful Model, Stateful... Others>
  explicit TrainState(Model& model, Others&... others) {
    static_assert(sizeof...(others) <= 2, "give parts after model, optimizer and data a role by add()");
    add("model", model);
    [[maybe_unused]] const char* const roles[] = {"optimizer", "data", nullptr};
    [[maybe_unused]] std::size_t place = 0;
    (add(roles[place++], others), ...);
    if constexpr (requires {
                    { std::as_const(model).generators() } -> std::convertible_to<NamedGenerators>;
                  }) {
      add_generators("random", [&model] { return std::as_const(model).generators(); });
    }
  }

  /// One more part, its tensors saved as "role.name": `state.add("schedule", schedule)`.
  /// \throws ConfigError when the role is empty, has a dot, or is taken.
  template <Stateful T>
  TrainState& add(std::string role, T& part) {
    Part added{std::move(role), [&part]() -> NamedTensors { return std::as_const(part).state_dict(); },
               [&part](const NamedTensors& state) { part.load_state_dict(state); }};
    if constexpr (ShardedStateful<T>) {
      added.shards = [&part]() -> ShardedTensors { return std::as_const(part).shards(); };
      added.load_shards = [&part](const NamedTensors& state) { part.load_shards(state); };
    }
    if constexpr (InPlaceStateful<T>) {
      added.in_place = [&part]() -> NamedTensors { return std::as_const(part).in_place(); };
      added.load_rest = [&part](const NamedTensors& rest) { part.load_rest(rest); };
      added.loaded = [&part] { part.loaded(); };
    }
    return add(std::move(added));
  }
  TrainState& add(Part part);
  /// A generator of your own: its seed and position are saved. Its stream is not, so that ranks keep theirs. As with
  /// those of the model, a state of another seed is refused: a run goes on with the seeds that it began with, and one
  /// that was asked for others would not be what it seems.
  TrainState& add(const std::string& role, Generator generator);

  /// A number of your own, which outlives this: the best loss so far, say.
  TrainState& add(const std::string& role, double& value);
  TrainState& add(const std::string& role, std::int64_t& value);

  /// Model first.
  const std::vector<Part>& parts() const { return parts_; }

  /// All of it, each name behind its role and a dot, whole on every rank.
  NamedTensors whole() const;
  /// The same names, of each tensor what this rank has. No communication.
  ShardedTensors shards() const;
  /// Of one part.
  static ShardedTensors shards(const Part& part);
  /// Puts back what `shards` told of, by the local parts. Where a part refuses its state, the parts before it get back the
  /// state that they had; but a loader in the middle of a step has none, and is at the step of the new one then.
  /// \throws what the part throws; DataError when there is state for a role that this has not, and for a generator of
  ///         another seed, which is named.
  void load(const NamedTensors& shards) const;

  /// The tensors that can be loaded by writing to their memory, by their full names: those that parts tell of, as far as they
  /// are contiguous, on the CPU, without overlap, and not of bools, of which not every byte is one.
  NamedTensors in_place() const;
  /// As load, of all but those, before they are written to. As much of them may be given as is not going to be.
  void load_rest(const NamedTensors& rest) const;
  /// Tells the parts, when they have been written to.
  void loaded() const;

 private:
  TrainState& add_generators(const std::string& role, const std::function<NamedGenerators()>& generators);

  std::vector<Part> parts_;
};

/// See fingerprint(const NamedTensors&): of `state.whole()`. Equal for
/// two runs that are at the same point to the last bit, on however many ranks each. A collective call where asking a
/// part for its state is one.
std::string fingerprint(const TrainState& state);

}  // namespace tutti
