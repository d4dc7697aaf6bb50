#include <algorithm>
#include <array>
#include <string_view>

#include "tutti/autograd/shape.h"
#include "tutti/nn/gpt.h"

namespace tutti::nn {
namespace {

bool ends_with_one_of(std::string_view name, const auto& endings) {
  return std::ranges::any_of(endings, [name](std::string_view ending) { return name.ends_with(ending); });
}

constexpr std::array<std::string_view, 2> masks{".attn.bias", ".attn.masked_bias"};
constexpr std::array<std::string_view, 4> conv1d_weights{".attn.c_attn.weight", ".attn.c_proj.weight",
                                                         ".mlp.c_fc.weight", ".mlp.c_proj.weight"};

// Its Conv1D holds [in, out], Linear [out, in].
Tensor other_layout(const std::string& name, const Tensor& tensor) {
  if (!ends_with_one_of(name, conv1d_weights) || tensor.rank() != 2) return tensor;
  return contiguous(transpose(tensor.detach(), 0, 1));
}

}  // namespace

NamedTensors from_hugging_face(const NamedTensors& state) {
  NamedTensors ours;
  for (const auto& [name, tensor] : state) {
    if (ends_with_one_of(name, masks)) continue;
    const bool prefixed = name.starts_with("transformer.") || name.starts_with("lm_head.");
    ours.push_back({prefixed ? name : "transformer." + name, other_layout(name, tensor)});
  }
  return ours;
}

NamedTensors to_hugging_face(const NamedTensors& state) {
  NamedTensors theirs;
  for (const auto& [name, tensor] : state) theirs.push_back({name, other_layout(name, tensor)});
  return theirs;
}

}  // namespace tutti::nn
