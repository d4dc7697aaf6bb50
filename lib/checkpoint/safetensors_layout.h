// Where everything goes in a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tutti/checkpoint/safetensors.h"

namespace tutti::safetensors {

struct FileLayout {
  std::string head;                    // the length of the header, the header, padding
  std::vector<std::uint64_t> offsets;  // of each tensor, from the start of the file
  std::uint64_t bytes = 0;
};

// In the order of the reference implementation: wide elements first, so that all stay aligned; then by name. The head is
// filled up with spaces to a multiple of `alignment`, a power of two from 8 on. `path` is for errors: throws CheckpointError for
// names that are no UTF-8, reserved or given twice, unknown dtypes, and what is too large.
FileLayout lay_out(const std::string& path, std::span<const Declaration> tensors, const Metadata& metadata,
                   std::size_t alignment = 8);

}  // namespace tutti::safetensors
