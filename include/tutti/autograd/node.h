/// \file
/// The tape: how an operation records what its gradient needs. For those who write operations.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tutti/tensor/tensor.h"

namespace tutti::autograd {

/// A gradient for each input or output, in their order.
using Gradients = std::vector<Tensor>;

/// A tensor that a gradient needs later. It knows when the elements were changed in place since it was saved.
class Saved {
 public:
  Saved() = default;
  Saved(const Tensor& tensor)
      : tensor_(tensor.defined() ? tensor.detach() : tensor),
        version_(tensor.defined() ? tensor.storage()->version() : 0) {}
  /// \throws AutogradError when the elements were changed in place.
  const Tensor& get() const;
  const Tensor& operator*() const { return get(); }
  const Tensor* operator->() const { return &get(); }
  /// Whether nobody else holds the elements.
  bool is_only() const { return tensor_.storage().use_count() == 1; }

 private:
  Tensor tensor_;
  std::uint64_t version_ = 0;
};

/// Which inputs want a gradient; others may be left undefined in the result.
class Needs {
 public:
  explicit Needs(std::uint64_t bits, bool last = false) : bits_(bits), last_(last) {}
  /// Whether this is the node's last call: what it saved, and nobody else holds, it may overwrite.
  bool last() const { return last_; }
  /// True for inputs beyond the 64th, whether they want one or not.
  bool operator[](std::size_t input) const { return input >= 64 || ((bits_ >> input) & 1u) != 0; }

 private:
  std::uint64_t bits_;
  bool last_;
};

/// One recorded operation: gradients of its outputs (undefined where none flowed) to gradients of its inputs.
struct Node {
  using Backward = std::function<Gradients(const Gradients& outputs, Needs needs)>;
  /// An input: the node that made it (null where no gradient is needed) and which of its outputs it is, or
  /// a leaf.
  struct Edge {
    std::shared_ptr<Node> node;
    int output = 0;
    Tensor leaf;
  };

  /// Makes the outputs again, recorded this time, of what the edges lead to.
  using Replay = std::function<std::vector<Tensor>(const std::vector<Edge>& inputs)>;

  const char* name = "";
  std::uint64_t sequence = 0;  ///< order of recording
  int outputs = 1;
  std::vector<Edge> inputs;
  Backward backward;
  Replay replay;  ///< where set, in place of `backward`: the pass goes on through what it records
  bool freed = false;

  ~Node();
};

/// The tape's part of a tensor.
struct Meta {
  bool requires_grad = false;
  std::shared_ptr<Node> node;  ///< null for a leaf
  int output = 0;
  Tensor grad;
  /// The next contribution replaces the gradient's elements in place of being added. The backward pass that
  /// brings one clears the mark, before the hooks run; one that brings none leaves it. A bucket of marked
  /// gradients need not be zeroed.
  bool grad_is_stale = false;
  bool grad_arrived = false;  ///< set by a backward pass that brings a contribution; whoever asks clears it
  std::int64_t updates = 0;   ///< of this leaf by optimizers
  std::vector<std::function<void(Tensor&)>> hooks;
};

/// The edge to a tensor: empty where it needs no gradient, or is undefined.
Node::Edge edge_to(const Tensor& tensor);

/// Whether an operation on `inputs` is to be recorded: gradients are on, and one of them requires one.
bool should_record(const std::vector<Tensor>& inputs);

/// Puts a node on the tape whatever the inputs need; `record` and `record_all` ask first.
void attach(const char* name, const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
            Node::Backward backward);

/// Records that `output` came from `inputs`; `backward(gradient of output, needs)` gives the gradients of the
/// inputs, in their order. Returns `output`. Records nothing where no gradient is wanted.
///
///     return record("exp", out, {x},
///                   [y = Saved(out)](const Tensor& g, Needs) { return Gradients{g * *y}; });
///
/// Gradients are computed with recording off, so they are made of the ordinary operations.
template <typename F>
Tensor record(const char* name, Tensor output, const std::vector<Tensor>& inputs, F&& backward) {
  if (should_record(inputs)) {
    attach(name, {output}, inputs,
           [f = std::forward<F>(backward)](const Gradients& g, Needs needs) { return f(g[0], needs); });
  }
  return output;
}

/// The same for several outputs; a gradient that did not flow is undefined.
template <typename F>
std::vector<Tensor> record_all(const char* name, std::vector<Tensor> outputs,
                               const std::vector<Tensor>& inputs, F&& backward) {
  if (should_record(inputs)) attach(name, outputs, inputs, std::forward<F>(backward));
  return outputs;
}

/// Records that `outputs`, made with recording off, came from `inputs` by something that is run again for its
/// gradients: `replay(inputs)` makes them again in the backward pass, recorded. Returns the outputs. Only the
/// inputs are kept. Asks nobody whether a gradient is wanted: see should_record.
/// \throws DTypeError for an output that is not floating point, AutogradError without outputs. For what goes wrong later see recompute.
std::vector<Tensor> record_replay(
    const char* name, std::vector<Tensor> outputs, const std::vector<Tensor>& inputs,
    std::function<std::vector<Tensor>(const std::vector<Tensor>& inputs)> replay);

}  // namespace tutti::autograd
