// The key of one encrypted checkpoint, and what its files are bound to.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/directory.h"
#include "checkpoint/secret.h"
#include "tutti/checkpoint/encryption.h"
#include "tutti/comm/communicator.h"

namespace tutti::checkpoint {

struct DataKey {
  Key key;
  std::string uuid;  // of the checkpoint
  std::int64_t steps = 0;

  // What `name`, as it is without encryption, is bound to.
  std::string associated_data(std::string_view name) const;
};

// Null where a checkpoint is not encrypted.
using DataKeyPointer = std::shared_ptr<const DataKey>;

// A fresh one; keys.json with it goes to `directory`. Throws as seal().
DataKeyPointer make_data_key(const Directory& directory, const std::string& uuid, std::int64_t steps,
                             const Encryption& encryption);

// Of the checkpoint in `directory`. Throws CheckpointError where `encryption` cannot open it; for plaintext, where it is
// not null; and for what is encrypted, where it is.
DataKeyPointer unlock(const Directory& directory, std::int64_t steps, const Encryption* encryption);

// From rank 0 to all: a key management service is asked once, and ranks that hold the tensors may hold their key. A
// collective call.
DataKeyPointer share(DataKeyPointer of_first, Communicator& world);

// The name of a file of a checkpoint on disk.
std::string name_on_disk(const std::string& name, const DataKey* key);

// A durable file of that text; encrypted if there is a key.
void write_text(const Directory& directory, const std::string& name, std::string_view text,
                const DataKey* key);
std::string read_text(const Directory& directory, const std::string& name, std::size_t most,
                      const DataKey* key);

}  // namespace tutti::checkpoint
