#include "tutti/nn/recompute.h"

#include <vector>

#include "nn/walk.h"
#include "tutti/autograd/grad_mode.h"
#include "tutti/autograd/node.h"
#include "tutti/core/cuda_graph.h"
#include "tutti/core/error.h"

namespace tutti::nn {
namespace {

// What a run of a module depends on beside its parameters.
struct State {
  std::vector<Tensor> buffers;
  std::vector<Generator::State> random;
  std::vector<bool> modes;
};

State copy_state(Module& module) {
  State state;
  Walk{
      .parameter = {},
      .buffer = [&](const std::string&, Tensor& tensor) { state.buffers.push_back(tensor.detach().clone()); },
      .generator = [&](const std::string&,
                       Generator& generator) { state.random.push_back(generator.state()); },
      .module = [&](Module& each) { state.modes.push_back(each.training()); }}(module);
  return state;
}

// A module is as it was in an earlier state, until this ends.
class Rewound {
 public:
  Rewound(Module& module, const State& state) {
    Walk{.parameter = {},
         .buffer =
             [this](const std::string&, Tensor& tensor) {
               buffers_.push_back({&tensor, tensor});
             },
         .generator =
             [this](const std::string&, Generator& generator) {
               generators_.push_back(generator);
               random_.push_back(generator.state());
             },
         .module =
             [this](Module& each) {
               modules_.push_back(&each);
               modes_.push_back(each.training());
             }}(module);
    if (buffers_.size() != state.buffers.size() || generators_.size() != state.random.size() ||
        modules_.size() != state.modes.size()) {
      throw AutogradError("recompute: the module got or lost members between its run and the backward pass");
    }
    if (!generators_.empty() && cuda::is_capturing())
      throw DeviceError("recompute: a module with random numbers cannot be run again in a CUDA graph");
    // Other tensors take the buffers' places: what else the tape saved of those stays unchanged.
    std::vector<Tensor> copies;
    for (const Tensor& buffer : state.buffers) copies.push_back(buffer.clone());
    for (std::size_t i = 0; i < copies.size(); ++i) *buffers_[i].place = copies[i];
    set(state.random, state.modes);
  }
  ~Rewound() {
    for (auto& [place, tensor] : buffers_) *place = tensor;
    set(random_, modes_);
  }
  Rewound(const Rewound&) = delete;
  Rewound& operator=(const Rewound&) = delete;

 private:
  struct Buffer {
    Tensor* place;
    Tensor tensor;
  };

  void set(const std::vector<Generator::State>& random, const std::vector<bool>& modes) {
    for (std::size_t i = 0; i < generators_.size(); ++i) generators_[i].set_state(random[i]);
    // Outer modules come first, so that those within have the last word.
    for (std::size_t i = 0; i < modules_.size(); ++i) {
      if (modules_[i]->training() != modes[i]) modules_[i]->train(modes[i]);
    }
  }

  std::vector<Buffer> buffers_;
  std::vector<Generator> generators_;
  std::vector<Generator::State> random_;
  std::vector<Module*> modules_;
  std::vector<bool> modes_;
};

}  // namespace

Tensor recompute(const std::shared_ptr<Module>& module, const Tensor& x) {
  if (!module) throw ConfigError("recompute: there is no module");
  std::vector<Tensor> inputs{x};
  for (const auto& [name, tensor] : module->parameters()) {
    if (tensor.requires_grad()) inputs.push_back(tensor);
  }
  if (!autograd::should_record(inputs)) return (*module)(x);
  State before = copy_state(*module);
  Tensor out;
  {
    NoGrad no_grad;
    out = (*module)(x);
  }
  return autograd::record_replay("recompute", {out}, inputs,
                                 [module, before = std::move(before)](const std::vector<Tensor>& again) {
                                   const Rewound rewound(*module, before);
                                   return std::vector{(*module)(again[0])};
                                 })[0];
}

}  // namespace tutti::nn
