/// \file
/// Gradients from less memory: what a function keeps for its gradient is computed again when it is needed.
/// T. Chen, B. Xu, C. Zhang and C. Guestrin 2016.
#pragma once

#include <functional>
#include <vector>

#include "tutti/tensor/random.h"
#include "tutti/tensor/tensor.h"

namespace tutti {

/// Options of recompute.
struct RecomputeOptions {
  std::vector<Generator> generators{};  ///< those that the function draws from
};

/// `f(inputs)`, of which only the inputs are kept: the backward pass runs `f` again, and gives the same bits
/// as without, in the gradients of leaves that are used elsewhere as well too. `generators` stand for the
/// second run where they stood before the first, and afterwards where they were.
///
/// `f` must give the same twice, and whatever it uses that requires a gradient must be among `inputs`; what
/// it changes beside its result, it changes twice. For a module see nn::recompute, which sees to all of that.
/// Where no input requires a gradient, or in NoGrad, this is just `f(inputs)`.
///
/// \throws DTypeError for a result that is not floating point, AutogradError for none at all. At backward, AutogradError where an input was
///         changed in place since; where the second run gives another dtype or shape, has no gradient to
///         offer, or uses something that requires a gradient and is no input.
Tensor recompute(std::function<Tensor(const std::vector<Tensor>&)> f, const std::vector<Tensor>& inputs,
                 const RecomputeOptions& options = {});

/// The same for several results.
std::vector<Tensor> recompute_all(std::function<std::vector<Tensor>(const std::vector<Tensor>&)> f,
                                  const std::vector<Tensor>& inputs, const RecomputeOptions& options = {});

}  // namespace tutti
