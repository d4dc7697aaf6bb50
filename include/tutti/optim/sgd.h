/// \file
#pragma once

#include "tutti/optim/optimizer.h"

namespace tutti::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;
};

/// Stochastic gradient descent with momentum, in PyTorch's form (the learning rate is outside the momentum).
///
///     optim::SGD optimizer(model.parameters(), {.lr = 0.1, .momentum = 0.9});
///
/// State: "momentum_buffer.<parameter>" where there is momentum.
class SGD : public Optimizer {
 public:
  /// \throws ConfigError for a negative option, and for Nesterov without momentum or with dampening.
  explicit SGD(const NamedTensors& parameters, const SGDOptions& options = {});
  explicit SGD(const std::vector<ParameterGroup<SGDOptions>>& groups);

 private:
  void update(Device device, const std::vector<Update>& updates) override;

  std::vector<SGDOptions> options_;
};

}  // namespace tutti::optim
