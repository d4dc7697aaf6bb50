#include "checkpoint/safetensors_dtype.h"

#include <algorithm>
#include <iterator>

namespace tutti::safetensors {
namespace {

// In the order of the reference implementation, by growing alignment: a writer sorts tensors by it,
// backwards.
constexpr FormatDType table[] = {
    {"BOOL", 8, DType::bool_}, {"F4", 4, {}},           {"F6_E2M3", 6, {}},        {"F6_E3M2", 6, {}},
    {"U8", 8, DType::u8},      {"I8", 8, {}},           {"F8_E5M2", 8, {}},        {"F8_E4M3", 8, {}},
    {"F8_E8M0", 8, {}},        {"F8_E4M3FNUZ", 8, {}},  {"F8_E5M2FNUZ", 8, {}},    {"I16", 16, {}},
    {"U16", 16, {}},           {"F16", 16, DType::f16}, {"BF16", 16, DType::bf16}, {"I32", 32, DType::i32},
    {"U32", 32, {}},           {"F32", 32, DType::f32}, {"C64", 64, {}},           {"F64", 64, DType::f64},
    {"I64", 64, DType::i64},   {"U64", 64, {}},
};

}  // namespace

const FormatDType* find_dtype(std::string_view name) {
  const auto* found = std::ranges::find(table, name, &FormatDType::name);
  return found == std::end(table) ? nullptr : found;
}

const FormatDType& format_dtype(DType dtype) {
  return *std::ranges::find(table, std::optional(dtype), &FormatDType::dtype);
}

}  // namespace tutti::safetensors
