// The element types of the format.
#pragma once

#include <optional>
#include <string_view>

#include "tutti/core/dtype.h"

namespace tutti::safetensors {

struct FormatDType {
  std::string_view name;
  unsigned bits;
  std::optional<DType> dtype;
};

// Null for a name that the format does not have.
const FormatDType* find_dtype(std::string_view name);

const FormatDType& format_dtype(DType dtype);

}  // namespace tutti::safetensors
