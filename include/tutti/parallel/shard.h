/// \file
#pragma once

#include <cstdint>

namespace tutti {

/// What a rank keeps only its share of, in place of a copy (ZeRO: S. Rajbhandari et al., SC'20). Each holds what
/// stands before it too. The bits of a run do not depend on it.
enum class Shard : std::uint8_t {
  none,
  optimizer,   ///< the optimizer's state
  gradients,   ///< and gradients, once they are reduced
  parameters,  ///< and parameters, which are gathered for the time that their module computes
};

}  // namespace tutti
