/// \file
/// Adam (D. P. Kingma and J. Ba 2014) and AdamW (I. Loshchilov and F. Hutter 2017).
#pragma once

#include "tutti/optim/optimizer.h"

namespace tutti::optim {

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;  ///< added to the gradient
};

struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 1e-2;  ///< times lr, taken off the parameter itself
};

/// State: "exp_avg.<parameter>" and "exp_avg_sq.<parameter>".
class Adam : public Optimizer {
 public:
  /// \throws ConfigError for a negative option or a beta outside [0, 1).
  explicit Adam(const NamedTensors& parameters, const AdamOptions& options = {});
  explicit Adam(const std::vector<ParameterGroup<AdamOptions>>& groups);

 private:
  void update(Device device, const std::vector<Update>& updates) override;

  std::vector<AdamOptions> options_;
};

/// Adam with decoupled weight decay; the same state.
///
///     optim::AdamW optimizer(model.parameters(), {.lr = 3e-4, .weight_decay = 0.1});
///     optim::AdamW optimizer({{.parameters = matrices, .options = {.weight_decay = 0.1}},
///                             {.parameters = vectors, .options = {.weight_decay = 0}}});
class AdamW : public Optimizer {
 public:
  /// \throws ConfigError for a negative option or a beta outside [0, 1).
  explicit AdamW(const NamedTensors& parameters, const AdamWOptions& options = {});
  explicit AdamW(const std::vector<ParameterGroup<AdamWOptions>>& groups);

 private:
  void update(Device device, const std::vector<Update>& updates) override;

  std::vector<AdamWOptions> options_;
};

}  // namespace tutti::optim
