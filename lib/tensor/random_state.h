// The place in a random stream that a kernel draws from.
#pragma once

#include <cstdint>

#include "kernels/random.h"
#include "tutti/tensor/random.h"

namespace tutti {

// Takes `blocks` blocks of the generator, for a kernel on `device`. In a step that is captured in a CUDA graph each replay takes
// them anew, and the capture none.
kernels::RandomState take_blocks(Generator& generator, std::uint64_t blocks, Device device);

}  // namespace tutti
