// From memory to disk.
#pragma once

#include <atomic>
#include <cstdint>

#include "checkpoint/data_key.h"
#include "checkpoint/directory.h"
#include "checkpoint/staging.h"

namespace tutti::checkpoint {

// Fills in the checksums and writes `image` to a file of `directory`, encrypted if there is a key. `file` has its name and
// gets the rest. The file lasts when it returns; its name, when the directory is synced.
void write_image(const Directory& directory, Image& image, ManifestFile& file, const DataKey* key,
                 std::atomic<std::uint64_t>& written, const std::atomic<bool>& stop);

}  // namespace tutti::checkpoint
