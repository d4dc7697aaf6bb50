// What the encrypted parts of a checkpoint are bound to, so that none passes for another.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tutti::checkpoint {

// The format of encrypted checkpoints.
inline constexpr int encryption_format = 1;

// Throws CheckpointError about `file` unless `uuid` is 1 to 64 letters, digits or '-'.
void check_uuid(std::string_view uuid, std::string_view file);

// The associated data of a file. Throws CheckpointError as check_uuid does, for negative steps, and unless the name is 1
// to 255 bytes without '/', NUL and line ends.
std::string associated_data(std::string_view uuid, std::int64_t steps, std::string_view file_name);

// The context in which recipients wrap a data key. Throws as check_uuid.
std::string wrap_context(std::string_view uuid);

}  // namespace tutti::checkpoint
