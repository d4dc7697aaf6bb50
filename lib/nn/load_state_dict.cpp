#include <fmt/format.h>

#include <algorithm>

#include "nn/walk.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/reduce.h"
#include "tutti/core/error.h"

namespace tutti::nn {
namespace {

const Tensor* find(const NamedTensors& state, const std::string& name) {
  const auto found = std::ranges::find(state, name, &NamedTensor::name);
  return found == state.end() ? nullptr : &found->tensor;
}

bool same_values(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         all(eq(a.to(Device::cpu()), b.to(Device::cpu())));
}

struct Member {
  Tensor tensor;
  std::vector<std::string> names;
};

std::vector<Member> members_of(Module& module) {
  std::vector<Member> members;
  const auto add = [&](const std::string& name, Tensor& tensor) {
    const auto known =
        std::ranges::find_if(members, [&](const Member& m) { return m.tensor.is_same(tensor); });
    if (known != members.end()) {
      known->names.push_back(name);
    } else {
      members.push_back({tensor, {name}});
    }
  };
  Walk{.parameter = add, .buffer = add, .generator = {}, .module = {}}(module);
  return members;
}

}  // namespace

void Module::load_state_dict(const NamedTensors& state, bool strict) {
  NamedTensors complete = state;
  for (const auto& [tensor, names] : members_of(*this)) {
    if (names.size() == 1) continue;
    // Tied: every name gets the value that one of them was given.
    std::string first;
    for (const auto& name : names) {
      const Tensor* value = find(state, name);
      if (!value) continue;
      if (first.empty()) {
        first = name;
      } else if (!same_values(*find(state, first), *value)) {
        throw DataError(
            fmt::format("load_state_dict: {} and {} are one tensor here, but the state has different values",
                        first, name));
      }
    }
    if (first.empty()) continue;
    for (const auto& name : names) {
      if (!find(state, name)) complete.push_back({name, *find(state, first)});
    }
  }
  NamedTensors own = state_dict();
  copy_by_name("load_state_dict", own, complete, strict);
}

}  // namespace tutti::nn
