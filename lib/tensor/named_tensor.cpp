#include "tutti/tensor/named_tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "tutti/core/error.h"

namespace tutti {
namespace {

// "; 3 missing: a, b, c": the first few names say which model it is, hundreds would say no more.
std::string complaint(const char* rule, std::vector<std::string> names) {
  constexpr std::size_t most = 8;
  if (names.empty()) return "";
  const std::size_t count = names.size();
  names.resize(std::min(count, most));
  const auto rest = count > most ? fmt::format(" and {} more", count - most) : std::string();
  return fmt::format("; {} {}: {}{}", count, rule, fmt::join(names, ", "), rest);
}

}  // namespace

void copy_by_name(const char* what, const NamedTensors& to, const NamedTensors& from, bool strict) {
  std::unordered_map<std::string_view, const Tensor*> given;
  for (const auto& [name, tensor] : from) given.emplace(name, &tensor);
  std::vector<std::pair<Tensor, const Tensor*>> copies;
  std::vector<std::string> missing, unexpected, misshapen;
  for (const auto& [name, tensor] : to) {
    const auto found = given.find(name);
    if (found == given.end()) {
      missing.push_back(name);
      continue;
    }
    const Tensor& source = *found->second;
    if (source.shape() == tensor.shape()) {
      copies.emplace_back(tensor, &source);
    } else {
      misshapen.push_back(
          fmt::format("{} is {}, the state has {}", name, tensor.shape().str(), source.shape().str()));
    }
    given.erase(found);
  }
  for (const auto& named : from) {
    if (given.contains(named.name)) unexpected.push_back(named.name);
  }
  if (!strict) {
    missing.clear();
    unexpected.clear();
  }
  if (!missing.empty() || !unexpected.empty() || !misshapen.empty()) {
    throw DataError(fmt::format("{}: the state does not fit{}{}{}", what, complaint("missing", missing),
                                complaint("unexpected", unexpected),
                                complaint("of another shape", misshapen)));
  }
  for (auto& [target, source] : copies) target.copy_(*source);
}

}  // namespace tutti
