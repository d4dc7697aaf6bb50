#include <fmt/format.h>

#include "checkpoint/directory.h"
#include "checkpoint/encrypted_names.h"
#include "checkpoint/key_blob.h"
#include "checkpoint/run_directory.h"
#include "tutti/checkpoint/upkeep.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {

void rewrap(const std::string& path, const Encryption& keys, const Encryption& recipients) {
  const Directory directory(path);
  const std::string name(key_blob_name), file = directory.path(name);
  if (!directory.has(name))
    throw CheckpointError(fmt::format("checkpoint: {} is not encrypted: it has no {}", path, name), path);
  const auto text =
      rewrap(directory.read(name, max_key_blob_bytes), keys.recipients, recipients.recipients, file);
  // No AtomicFile: of what has another ending, a crash would leave a file that no encrypted checkpoint may have.
  const auto fresh = encrypted_name(".keys-" + random_name());
  try {
    directory.write(fresh, text);
    directory.rename(fresh, name);
  } catch (...) {
    remove_quietly(directory, fresh);
    throw;
  }
  directory.sync();
}

}  // namespace tutti::checkpoint
