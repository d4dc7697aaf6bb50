#include "tutti/checkpoint/train_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "checkpoint/landing.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

NamedTensors copied(const NamedTensors& state) {
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : state) bytes += checkpoint::Landing::room_for(tensor);
  checkpoint::Landing landing(nullptr, bytes);
  NamedTensors copy;
  for (const auto& [name, tensor] : state) {
    const Tensor from = tensor.detach();
    const bool here = from.device().is_cpu();
    copy.push_back({name, here ? landing.take(from.shape(), from.dtype()).copy_(from) : from.clone()});
  }
  return copy;
}

// What to go back to when a later part fails, of the tensors that `given` has: nothing where the part refuses to tell, as
// loaders do in the middle of a step.
std::optional<NamedTensors> state_now(const TrainState::Part& part, const NamedTensors& given) {
  try {
    auto state = part.shards ? local(part.shards()) : part.state_dict();
    std::set<std::string_view> names;
    for (const auto& tensor : given) names.insert(tensor.name);
    std::erase_if(state, [&](const NamedTensor& tensor) { return !names.contains(tensor.name); });
    return copied(state);
  } catch (const DataError&) {
    return std::nullopt;
  }
}

// On all ranks together: the same on each.
std::int64_t bytes_of(const TrainState::Part& part) {
  try {
    std::int64_t bytes = 0;
    for (const auto& tensor : TrainState::shards(part)) bytes += tensor.bytes();
    return bytes;
  } catch (const DataError&) {
    return 0;
  }
}

using Put = std::function<void(const TrainState::Part&, const NamedTensors&)>;

void put_back(const TrainState::Part& part, const NamedTensors& state) {
  part.shards ? part.load_shards(state) : part.load_state_dict(state);
}

void put_rest(const TrainState::Part& part, const NamedTensors& rest) {
  part.in_place ? part.load_rest(rest) : put_back(part, rest);
}

bool is_plain_memory(const Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.is_contiguous() && tensor.numel() > 0 &&
         tensor.dtype() != DType::bool_;
}

// Without those that share memory: tied ones, say, which are checked against each other.
NamedTensors without_overlaps(NamedTensors tensors) {
  const auto begin = [](const NamedTensor& named) {
    return reinterpret_cast<std::uintptr_t>(named.tensor.raw_data());
  };
  std::ranges::sort(tensors, {}, begin);
  NamedTensors alone;
  std::uintptr_t end = 0;  // of all before
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto from = begin(tensors[i]);
    const auto bytes =
        static_cast<std::size_t>(tensors[i].tensor.numel()) * size_of(tensors[i].tensor.dtype());
    const bool last = i + 1 == tensors.size();
    if (from >= end && (last || begin(tensors[i + 1]) >= from + bytes)) alone.push_back(tensors[i]);
    end = std::max(end, from + bytes);
  }
  return alone;
}

std::map<std::string, NamedTensors> by_role(const std::vector<TrainState::Part>& parts,
                                            const NamedTensors& state) {
  std::map<std::string, NamedTensors> roles;
  for (const auto& part : parts) roles[part.role];
  for (const auto& [name, tensor] : state) {
    const auto dot = name.find('.');
    const auto found = roles.find(name.substr(0, dot));
    if (dot == std::string::npos || found == roles.end())
      throw DataError(fmt::format("train state: there is no part for \"{}\"", name));
    found->second.push_back({name.substr(dot + 1), tensor});
  }
  return roles;
}

// Where a part refuses what it is given, those before it get back what they had.
void load_all(const std::vector<TrainState::Part>& parts, const NamedTensors& state, const Put& put) {
  const auto roles = by_role(parts, state);
  // Of the last one no copy is needed to go back to, so that is the largest.
  std::vector<const TrainState::Part*> order;
  for (const auto& part : parts) order.push_back(&part);
  const auto largest =
      std::ranges::max_element(order, {}, [](const TrainState::Part* part) { return bytes_of(*part); });
  if (largest != order.end()) std::rotate(largest, largest + 1, order.end());
  std::vector<std::optional<NamedTensors>> before;
  before.reserve(order.size());  // what was put is noted without memory
  try {
    for (const auto* part : order) {
      const auto& given = roles.at(part->role);
      auto copy = part == order.back() ? std::nullopt : state_now(*part, given);
      put(*part, given);
      before.push_back(std::move(copy));
    }
  } catch (...) {
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (before[i]) put(*order[i], *before[i]);
    }
    throw;
  }
}

template <typename T>
Tensor numbers(std::initializer_list<T> values, const Shape& shape) {
  return from_host({values.begin(), values.size(), dtype_of<T>}, shape, Device::cpu());
}

// Seed and position of each, i64 [2].
NamedTensors states_of(const NamedGenerators& generators) {
  NamedTensors states;
  for (const auto& [name, generator] : generators) {
    const auto& state = generator.state();
    states.push_back(
        {name,
         numbers({static_cast<std::int64_t>(state.seed), static_cast<std::int64_t>(state.position)}, {2})});
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

template <typename T>
TrainState::Part number(const std::string& role, T& value) {
  return {role,
          [&value] {
            return NamedTensors{{"value", numbers({value}, {})}};
          },
          [role, &value](const NamedTensors& state) {
            const NamedTensors saved{{"value", numbers({value}, {})}};
            copy_by_name(role.c_str(), saved, state);
            value = saved[0].tensor.data<T>()[0];
          }};
}

}  // namespace

TrainState& TrainState::add(const std::string& role, double& value) { return add(number(role, value)); }
TrainState& TrainState::add(const std::string& role, std::int64_t& value) { return add(number(role, value)); }

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

NamedTensors TrainState::whole() const {
  NamedTensors all;
  for (const auto& part : parts_) {
    for (auto& [name, tensor] : part.state_dict()) all.push_back({part.role + "." + name, tensor});
  }
  return all;
}

ShardedTensors TrainState::shards(const Part& part) {
  auto tensors = part.shards ? part.shards() : replicated(part.state_dict());
  for (auto& tensor : tensors) tensor.name.insert(0, part.role + ".");
  return tensors;
}

ShardedTensors TrainState::shards() const {
  ShardedTensors all;
  for (const auto& part : parts_) std::ranges::move(shards(part), std::back_inserter(all));
  return all;
}

void TrainState::load(const NamedTensors& shards) const { load_all(parts_, shards, put_back); }

NamedTensors TrainState::in_place() const {
  NamedTensors all;
  for (const auto& part : parts_) {
    if (!part.in_place) continue;
    for (auto& [name, tensor] : part.in_place()) {
      if (is_plain_memory(tensor)) all.push_back({part.role + "." + name, tensor});
    }
  }
  return without_overlaps(std::move(all));
}

void TrainState::load_rest(const NamedTensors& rest) const { load_all(parts_, rest, put_rest); }

void TrainState::loaded() const {
  for (const auto& [name, tensor] : in_place()) tensor.storage()->bump_version();
  for (const auto& part : parts_) {
    if (part.loaded) part.loaded();
  }
}

std::string fingerprint(const TrainState& state) { return fingerprint(state.whole()); }

}  // namespace tutti
