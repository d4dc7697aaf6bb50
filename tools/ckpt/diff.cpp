#include <fmt/format.h>

#include <map>

#include "ckpt/command.h"
#include "ckpt/compare.h"
#include "ckpt/open.h"
#include "ckpt/progress.h"
#include "ckpt/text.h"
#include "tutti/checkpoint/exchange.h"

namespace tutti::ckpt {
namespace {

using Info = Checkpoint::TensorInfo;

struct Changed {
  const Info* a;
  const Info* b;
  Difference by{};  // where dtype and shape are the same
};

struct Comparison {
  std::vector<Info> a, b;
  std::vector<const Info*> only_a, only_b;
  std::vector<Changed> other_types, other_values;
  bool equal() const {
    return only_a.empty() && only_b.empty() && other_types.empty() && other_values.empty();
  }
};

std::string text_of(const Info& tensor) {
  return fmt::format("{} {}", name_of(tensor.dtype), tensor.shape.str());
}

std::vector<std::int64_t> index_of(std::int64_t flat, const Shape& shape) {
  std::vector<std::int64_t> index(shape.rank());
  for (auto i = index.size(); i-- > 0;) {
    index[i] = flat % shape[i];
    flat /= shape[i];
  }
  return index;
}

void look_at(const Checkpoint& a, const Checkpoint& b, Comparison& comparison) {
  std::map<std::string_view, const Info*> rest;
  for (const auto& tensor : comparison.b) rest[tensor.name] = &tensor;
  std::vector<Changed> pairs;
  std::uint64_t bytes = 0;
  for (const auto& tensor : comparison.a) {
    const auto found = rest.find(tensor.name);
    if (found == rest.end()) {
      comparison.only_a.push_back(&tensor);
      continue;
    }
    const Changed pair{&tensor, found->second};
    rest.erase(found);
    const bool same = pair.a->dtype == pair.b->dtype && pair.a->shape == pair.b->shape;
    if (same) bytes += tensor.bytes;
    (same ? pairs : comparison.other_types).push_back(pair);
  }
  for (const auto& tensor : comparison.b) {
    if (rest.contains(tensor.name)) comparison.only_b.push_back(&tensor);
  }
  Progress progress("diff", bytes);
  for (auto& pair : pairs) {
    pair.by = compare(a, b, *pair.a, progress.report());
    if (pair.by.values > 0) comparison.other_values.push_back(pair);
  }
}

nlohmann::ordered_json to_json(const Comparison& comparison) {
  nlohmann::ordered_json json{{"equal", comparison.equal()}};
  const auto names = [](const std::vector<const Info*>& tensors) {
    auto all = nlohmann::ordered_json::array();
    for (const auto* tensor : tensors) all.push_back(tensor->name);
    return all;
  };
  json["only_in_a"] = names(comparison.only_a);
  json["only_in_b"] = names(comparison.only_b);
  json["dtype_or_shape"] = json["values"] = nlohmann::ordered_json::array();
  const auto type = [](const Info& tensor) -> nlohmann::ordered_json {
    return {{"dtype", name_of(tensor.dtype)}, {"shape", ckpt::to_json(tensor.shape)}};
  };
  for (const auto& [a, b, by] : comparison.other_types)
    json["dtype_or_shape"].push_back({{"name", a->name}, {"a", type(*a)}, {"b", type(*b)}});
  for (const auto& [a, b, by] : comparison.other_values) {
    json["values"].push_back({{"name", a->name},
                              {"differing", by.values},
                              {"of", a->shape.numel()},
                              {"max_abs", by.max_abs},
                              {"first", index_of(by.first, a->shape)},
                              {"a", by.first_a},
                              {"b", by.first_b}});
  }
  return json;
}

void print(const Comparison& comparison) {
  for (const auto* tensor : comparison.only_a)
    fmt::print("only in A: {} {}\n", tensor->name, text_of(*tensor));
  for (const auto* tensor : comparison.only_b)
    fmt::print("only in B: {} {}\n", tensor->name, text_of(*tensor));
  for (const auto& [a, b, by] : comparison.other_types)
    fmt::print("{}: {} in A, {} in B\n", a->name, text_of(*a), text_of(*b));
  for (const auto& [a, b, by] : comparison.other_values) {
    fmt::print("{}: {} of {} values differ, by {:.6g} at most; the first at [{}], {:.9g} in A, {:.9g} in B\n",
               a->name, by.values, a->shape.numel(), by.max_abs,
               fmt::join(index_of(by.first, a->shape), ", "), by.first_a, by.first_b);
  }
  if (comparison.equal()) fmt::print("equal: {} tensors\n", comparison.a.size());
}

}  // namespace

int diff(const std::string& path_a, const std::string& path_b, const std::vector<std::string>& parts,
         const Common& common) {
  const auto a = open(path_a, common), b = open(path_b, common);
  Comparison comparison{checkpoint::tensors_of(a, parts), checkpoint::tensors_of(b, parts), {}, {}, {}, {}};
  look_at(a, b, comparison);
  if (common.json) {
    print_json(to_json(comparison));
  } else {
    print(comparison);
  }
  return comparison.equal() ? success : found;
}

}  // namespace tutti::ckpt
