#include "tutti/autograd/recompute.h"

#include <fmt/format.h>

#include <utility>

#include "tutti/autograd/autocast.h"
#include "tutti/autograd/float32_matmul.h"
#include "tutti/autograd/grad_mode.h"
#include "tutti/autograd/node.h"
#include "tutti/core/cuda_graph.h"
#include "tutti/core/error.h"

namespace tutti {
namespace autograd {
namespace {

// An input as it was, on the same place of the tape.
Tensor reattached(const Saved& saved, const Node::Edge& edge) {
  const Tensor& elements = saved.get();
  if (edge.leaf.defined()) return edge.leaf;
  if (!edge.node) return elements;
  auto meta = std::make_shared<Meta>();
  meta->requires_grad = true;
  meta->node = edge.node;
  meta->output = edge.output;
  Tensor result = elements.detach();
  result.set_autograd_meta(std::move(meta));
  return result;
}

struct Kind {
  DType dtype;
  Shape shape;
};

void check_alike(const char* name, const std::vector<Kind>& first, const std::vector<Tensor>& again) {
  if (first.size() != again.size()) {
    throw AutogradError(fmt::format("backward: '{}' gave {} results at first and {} when it was run again",
                                    name, first.size(), again.size()));
  }
  bool any = false;
  for (std::size_t i = 0; i < first.size(); ++i) {
    const Kind& kind = first[i];
    if (again[i].dtype() != kind.dtype || again[i].shape() != kind.shape) {
      throw AutogradError(fmt::format("backward: '{}' gave {} {} at first and {} {} when it was run again",
                                      name, name_of(kind.dtype), kind.shape.str(), name_of(again[i].dtype()),
                                      again[i].shape().str()));
    }
    any = any || again[i].requires_grad();
  }
  if (any) return;
  throw AutogradError(fmt::format(
      "backward: '{}' recorded nothing when it was run again: no result depends on an input that requires a "
      "gradient",
      name));
}

}  // namespace

std::vector<Tensor> record_replay(
    const char* name, std::vector<Tensor> outputs, const std::vector<Tensor>& inputs,
    std::function<std::vector<Tensor>(const std::vector<Tensor>& inputs)> replay) {
  if (outputs.empty()) throw AutogradError(fmt::format("{}: there is no result", name));
  std::vector<Kind> kinds;
  for (Tensor& output : outputs) {
    if (!is_floating_point(output.dtype())) {
      throw DTypeError(fmt::format("{}: only floating point has gradients, a result is {}", name,
                                   name_of(output.dtype())));
    }
    kinds.push_back({output.dtype(), output.shape()});
    output = output.detach();  // it may be an input, which keeps its own place on the tape
  }
  std::vector<Saved> saved(inputs.begin(), inputs.end());
  attach(name, outputs, inputs, nullptr);
  outputs.at(0).autograd_meta()->node->replay =
      [name, kinds = std::move(kinds), saved = std::move(saved), replay = std::move(replay),
       mode = autocast_dtype(),
       precision = float32_matmul_precision()](const std::vector<Node::Edge>& edges) {
        std::vector<Tensor> again;
        for (std::size_t i = 0; i < saved.size(); ++i) again.push_back(reattached(saved[i], edges[i]));
        EnableGrad enable_grad;
        Autocast autocast(mode);
        Float32Matmul float32_matmul(precision);
        again = replay(again);
        check_alike(name, kinds, again);
        return again;
      };
  return outputs;
}

}  // namespace autograd

namespace {

// Generators stand where they once stood, until it ends.
class Rewound {
 public:
  Rewound(std::vector<Generator> generators, const std::vector<Generator::State>& states)
      : generators_(std::move(generators)) {
    if (!generators_.empty() && cuda::is_capturing())
      throw DeviceError("recompute: a function with random numbers cannot be run again in a CUDA graph");
    for (const Generator& generator : generators_) now_.push_back(generator.state());
    set(states);
  }
  ~Rewound() { set(now_); }
  Rewound(const Rewound&) = delete;
  Rewound& operator=(const Rewound&) = delete;

 private:
  void set(const std::vector<Generator::State>& states) {
    for (std::size_t i = 0; i < generators_.size(); ++i) generators_[i].set_state(states[i]);
  }

  std::vector<Generator> generators_;
  std::vector<Generator::State> now_;
};

}  // namespace

std::vector<Tensor> recompute_all(std::function<std::vector<Tensor>(const std::vector<Tensor>&)> f,
                                  const std::vector<Tensor>& inputs, const RecomputeOptions& options) {
  if (!autograd::should_record(inputs)) return f(inputs);
  std::vector<Generator::State> before;
  for (const Generator& generator : options.generators) before.push_back(generator.state());
  std::vector<Tensor> outputs;
  {
    NoGrad no_grad;
    outputs = f(inputs);
  }
  return autograd::record_replay(
      "recompute", std::move(outputs), inputs,
      [f = std::move(f), generators = options.generators, before](const std::vector<Tensor>& again) {
        const Rewound rewound(generators, before);
        return f(again);
      });
}

Tensor recompute(std::function<Tensor(const std::vector<Tensor>&)> f, const std::vector<Tensor>& inputs,
                 const RecomputeOptions& options) {
  return recompute_all([f = std::move(f)](const std::vector<Tensor>& x) { return std::vector{f(x)}; }, inputs,
                       options)[0];
}

}  // namespace tutti
