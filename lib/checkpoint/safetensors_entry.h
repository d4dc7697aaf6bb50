// What a file says about a tensor, as Tutti has it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tutti/checkpoint/safetensors.h"

namespace tutti::safetensors {

// Throws CheckpointError about `file` when there is none of that name.
const Entry& find_entry(const Header& header, std::string_view name, const std::string& file);

// Throw CheckpointError for shapes and types that Tutti does not have.
Shape shape_of(const Entry& entry, const std::string& file);
DType dtype_of_entry(const Entry& entry, const std::string& file);

// Of bytes of `entry` from byte `first` on: throws CheckpointError unless they are 0 or 1.
void check_bools(std::span<const std::byte> bytes, const Entry& entry, std::uint64_t first,
                 const std::string& file);

// The header of an open file. Throws CheckpointError.
Header read_header(int descriptor, const std::string& file, const ReadOptions& options);

}  // namespace tutti::safetensors
