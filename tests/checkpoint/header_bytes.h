// Headers of safetensors files, written by hand to be right or wrong.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "tutti/checkpoint/safetensors.h"

namespace tutti::safetensors {

inline std::string file_of(const std::string& header, std::size_t data_bytes = 0) {
  std::uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + std::string(data_bytes, '\0');
}

inline Header parse(const std::string& file, const ReadOptions& options = {}) {
  return parse_header(std::as_bytes(std::span(file)), file.size(), "x.safetensors", options);
}

inline std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{}]}})", name, dtype, shape,
                     offsets);
}

}  // namespace tutti::safetensors
