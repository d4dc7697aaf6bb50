// What AES-256-GCM takes, as checkpoints are encrypted, without a disk.
#pragma once

#include "tutti/comm/communicator.h"

namespace tutti::bench {

// Bytes a second of one core: rank 0 encrypts from memory to memory, the others wait. A collective call.
double cipher_rate(Communicator& comm);

}  // namespace tutti::bench
