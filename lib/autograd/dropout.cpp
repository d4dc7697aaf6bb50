#include "tutti/autograd/dropout.h"

#include <fmt/format.h>

#include "kernels/dropout.h"
#include "tensor/checks.h"
#include "tensor/random_state.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

Tensor dropped(const Tensor& given, double p, const kernels::RandomState& state) {
  const Tensor x = contiguous(given);
  Tensor out = empty_like(x);
  kernels::launch<kernels::Dropout>(x.device(), x.dtype(), state, x.raw_data(), out.raw_data(), x.numel(),
                                    1 - p, p < 1 ? 1 / (1 - p) : 0.0);
  return out;
}

}  // namespace

Tensor dropout(const Tensor& x, double p, Generator& generator) {
  check_floating_point("dropout", x);
  if (!(p >= 0 && p <= 1)) throw ConfigError(fmt::format("dropout: a probability lies in [0, 1], got {}", p));
  const auto state = take_blocks(generator, static_cast<std::uint64_t>((x.numel() + 3) / 4), x.device());
  return autograd::record(
      "dropout", dropped(x.detach(), p, state), {x},
      [p, state](const Tensor& g, autograd::Needs) { return autograd::Gradients{dropped(g, p, state)}; });
}

}  // namespace tutti
