/// \file
/// Short lines that tell whether tensors are the same to the last bit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tutti/tensor/named_tensor.h"

namespace tutti {

/// 32 hexadecimal digits of the names, dtypes, shapes and bytes of `tensors`, in their order: equal where all of
/// these are, and else different but for a chance of 2^-128. Bytes count, so -0 is not 0; how a tensor lies in
/// memory, and on which device, does not. For comparing runs and ranks; it doesn't keep out a forger.
///
/// They are the XXH3 hash of 128 bits of all tensors one after another, each as: the length of the text
/// "f32 [2, 3] name" (8 bytes, little endian), the text, the elements in row-major order as safetensors files have
/// them.
/// \throws Error for an undefined tensor.
std::string fingerprint(const NamedTensors& tensors);

/// Of each tensor by itself, with its name, the XXH3 hash of 64 bits: tells which one differs.
std::vector<std::uint64_t> fingerprints(const NamedTensors& tensors);

}  // namespace tutti
