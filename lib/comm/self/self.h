// The group of one rank.
#pragma once

#include <memory>

#include "tutti/comm/backend.h"

namespace tutti::comm {

std::unique_ptr<Backend> make_self_backend();

}  // namespace tutti::comm
