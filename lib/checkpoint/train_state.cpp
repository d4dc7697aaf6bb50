#include "tutti/checkpoint/train_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

NamedTensors cloned(const NamedTensors& state) {
  NamedTensors copy;
  for (const auto& [name, tensor] : state) copy.push_back({name, tensor.detach().clone()});
  return copy;
}

// What to go back to when a later part fails: nothing where the part refuses to tell, as loaders do in the middle of a
// step.
std::optional<NamedTensors> state_now(const TrainState::Part& part) {
  try {
    return cloned(part.state_dict());
  } catch (const DataError&) {
    return std::nullopt;
  }
}

using ByRole = std::map<std::string, NamedTensors>;

ByRole split(const std::vector<TrainState::Part>& parts, const NamedTensors& model,
             const NamedTensors& others) {
  ByRole by_role;
  for (const auto& part : parts) by_role[part.role];
  by_role[parts.front().role] = model;
  for (const auto& [name, tensor] : others) {
    const auto dot = name.find('.');
    const auto found = by_role.find(name.substr(0, dot));
    if (dot == std::string::npos || found == by_role.end() || found->first == parts.front().role) {
      throw DataError(fmt::format("train state: there is no part for \"{}\"", name));
    }
    found->second.push_back({name.substr(dot + 1), tensor});
  }
  return by_role;
}

// Seed and position of each, i64 [2].
NamedTensors states_of(const NamedGenerators& generators) {
  NamedTensors states;
  for (const auto& [name, generator] : generators) {
    const auto& state = generator.state();
    states.push_back(
        {name, tensor({static_cast<std::int64_t>(state.seed), static_cast<std::int64_t>(state.position)})});
  }
  return states;
}

void set_states(const std::string& role, NamedGenerators generators, const NamedTensors& saved) {
  const NamedTensors states = states_of(generators);
  copy_by_name(role.c_str(), states, saved);
  const auto number_in = [&](std::size_t i, int place) {
    return static_cast<std::uint64_t>(states[i].tensor.data<std::int64_t>()[place]);
  };
  for (std::size_t i = 0; i < generators.size(); ++i) {
    const auto& [name, generator] = generators[i];
    if (number_in(i, 0) != generator.state().seed) {
      throw DataError(fmt::format(
          "{}: {} has seed {} in the state and {} here: a run goes on with the seeds it began with", role,
          name, number_in(i, 0), generator.state().seed));
    }
  }
  for (std::size_t i = 0; i < generators.size(); ++i) {
    auto state = generators[i].generator.state();
    state.position = number_in(i, 1);
    generators[i].generator.set_state(state);
  }
}

}  // namespace

TrainState& TrainState::add(const std::string& role, Generator generator) {
  return add_generators(role, [generator] { return NamedGenerators{{"state", generator}}; });
}

TrainState& TrainState::add_generators(const std::string& role,
                                       const std::function<NamedGenerators()>& generators) {
  return add(Part{role, [generators] { return states_of(generators()); },
                  [role, generators](const NamedTensors& state) { set_states(role, generators(), state); }});
}

TrainState& TrainState::add(Part part) {
  if (part.role.empty() || part.role.find('.') != std::string::npos) {
    throw ConfigError(fmt::format("train state: a role is a word without a dot, not \"{}\"", part.role));
  }
  if (std::ranges::find(parts_, part.role, &Part::role) != parts_.end()) {
    throw ConfigError(fmt::format("train state: the role \"{}\" is taken", part.role));
  }
  parts_.push_back(std::move(part));
  return *this;
}

NamedTensors TrainState::model() const { return parts_.front().state_dict(); }

NamedTensors TrainState::others() const {
  NamedTensors all;
  for (std::size_t i = 1; i < parts_.size(); ++i) {
    for (auto& [name, tensor] : parts_[i].state_dict()) all.push_back({parts_[i].role + "." + name, tensor});
  }
  return all;
}

void TrainState::load(const NamedTensors& model, const NamedTensors& others) const {
  const auto by_role = split(parts_, model, others);
  std::vector<std::optional<NamedTensors>> before;
  try {
    for (const auto& part : parts_) {
      auto copy = state_now(part);
      part.load_state_dict(by_role.at(part.role));
      before.push_back(std::move(copy));
    }
  } catch (...) {
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i]) parts_[i].load_state_dict(*before[i]);
    }
    throw;
  }
}

std::string fingerprint(const TrainState& state) {
  NamedTensors all;
  for (const auto& [name, tensor] : state.model()) all.push_back({"model." + name, tensor});
  const auto others = state.others();
  all.insert(all.end(), others.begin(), others.end());
  return fingerprint(all);
}

}  // namespace tutti
