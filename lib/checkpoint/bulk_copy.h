// Copies that nobody reads soon.
#pragma once

#include <cstddef>

namespace tutti::checkpoint {

// As memcpy, but past the caches where the processor can: else each line that is written is read first, which
// takes half as long again. memcpy does so itself only for tensors of a size that few have.
void bulk_copy(std::byte* to, const std::byte* from, std::size_t bytes);

}  // namespace tutti::checkpoint
