// Backward: nodes run in the reverse order of their recording, which is the same on every rank and respects
// every dependency. A node's gradients and saved tensors are dropped as soon as it has run.
#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "tutti/autograd/autocast.h"
#include "tutti/autograd/grad_mode.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace autograd {
namespace {

using NodePtr = std::shared_ptr<Node>;

struct LaterFirst {
  bool operator()(const NodePtr& a, const NodePtr& b) const { return a->sequence < b->sequence; }
};

// What flows into a node or a leaf: the first gradient is taken as it is, a second one added to it, or to a
// copy where others hold it too.
class Inflow {
 public:
  void add(const Tensor& gradient, bool own = false) {
    if (!sum_.defined()) {
      sum_ = gradient;
      owned_ = own;
      return;
    }
    if (!owned_) sum_ = sum_.clone();
    owned_ = true;
    sum_.add_(gradient);
  }
  const Tensor& sum() const { return sum_; }
  Tensor own_sum() const { return owned_ ? sum_ : sum_.clone(); }

 private:
  Tensor sum_;
  bool owned_ = false;
};

// The contributions of one pass are summed before they meet an earlier gradient: micro-batches then give
// g0 + g1, however often each of them uses the leaf.
struct LeafState {
  Tensor leaf;
  int expected = 0;  // contributions still to come
  Inflow inflow;
};

void accumulate(Meta& leaf, const Inflow& inflow) {
  if (!inflow.sum().defined()) return;
  if (!leaf.grad.defined()) {
    leaf.grad = inflow.own_sum();
    leaf.grad.storage()->set_category(memory::Category::gradients);
  } else if (leaf.grad_is_stale) {
    leaf.grad.copy_(inflow.sum());
  } else {
    leaf.grad.add_(inflow.sum());
  }
  leaf.grad_is_stale = false;
  leaf.grad_arrived = true;
}

class Run {
 public:
  Run(const Tensor& root, const Tensor& gradient, bool retain) : retain_(retain) {
    const std::vector<Node::Edge> roots{edge_to(root)};
    count_leaf_uses(roots, nullptr);
    pass_on(roots[0], gradient, true);
  }

  void execute() {
    while (!ready_.empty()) {
      const NodePtr node = ready_.top();
      ready_.pop();
      queued_.erase(node.get());
      node->replay ? go_through(*node) : step(*node);
      if (!retain_) free(*node);
    }
  }

 private:
  // How often each leaf will be reached: its hook waits for the last time. What a replay recorded ends at the
  // inputs of the replayed node, which were counted with it.
  void count_leaf_uses(const std::vector<Node::Edge>& roots, const Node* replayed) {
    std::vector<Node*> stack;
    std::unordered_set<Node*> seen;
    const auto follow = [&](const Node::Edge& edge) {
      if (edge.leaf.defined()) {
        if (replayed) check_is_input(*replayed, edge);
        auto& state = leaves_[edge.leaf.autograd_meta().get()];
        state.leaf = edge.leaf;
        ++state.expected;
      } else if (edge.node && replayed && edge.node->sequence < replayed->sequence) {
        check_is_input(*replayed, edge);
      } else if (edge.node && seen.insert(edge.node.get()).second) {
        stack.push_back(edge.node.get());
      }
    };
    std::ranges::for_each(roots, follow);
    while (!stack.empty()) {
      Node* node = stack.back();
      stack.pop_back();
      check_not_freed(*node);
      std::ranges::for_each(node->inputs, follow);
    }
  }

  static void check_is_input(const Node& replayed, const Node::Edge& edge) {
    const auto is_this = [&edge](const Node::Edge& input) {
      if (!edge.leaf.defined()) return input.node == edge.node;
      return input.leaf.defined() && input.leaf.autograd_meta() == edge.leaf.autograd_meta();
    };
    if (std::ranges::any_of(replayed.inputs, is_this)) return;
    throw AutogradError(fmt::format(
        "backward: '{}' uses {} that requires a gradient and is not among its inputs", replayed.name,
        edge.leaf.defined() ? fmt::format("a leaf {}", edge.leaf.shape().str())
                            : fmt::format("a result of '{}'", edge.node->name)));
  }

  static void check_not_freed(const Node& node) {
    if (!node.freed) return;
    throw AutogradError(fmt::format(
        "backward: the graph of '{}' was freed by an earlier backward; pass retain_graph there to go twice",
        node.name));
  }

  Inflow& inflow(const NodePtr& node, int output) {
    auto& flows = inflows_[node.get()];
    if (flows.empty()) flows.resize(static_cast<std::size_t>(node->outputs));
    return flows[static_cast<std::size_t>(output)];
  }

  void push(const NodePtr& node) {
    if (queued_.insert(node.get()).second) ready_.push(node);
  }

  void step(Node& node) {
    Gradients outputs;
    for (auto& flow : inflows_[&node]) outputs.push_back(flow.sum());
    inflows_.erase(&node);
    std::uint64_t needs = 0;
    for (std::size_t i = 0; i < std::min<std::size_t>(node.inputs.size(), 64); ++i) {
      if (node.inputs[i].node || node.inputs[i].leaf.defined()) needs |= std::uint64_t{1} << i;
    }
    // A node whose outputs got no gradient passes none on, but its leaves have to know.
    Gradients inputs(node.inputs.size());
    if (std::ranges::any_of(outputs, &Tensor::defined))
      inputs = node.backward(outputs, Needs(needs, !retain_));
    // A gradient that goes to several inputs, or came in as it is, has other holders: no leaf may keep that
    // one.
    const auto is_shared = [&](const Tensor& gradient) {
      const auto same = [&](const Tensor& other) {
        return gradient.defined() && other.defined() && gradient.is_same(other);
      };
      return std::ranges::any_of(outputs, same) || std::ranges::count_if(inputs, same) > 1;
    };
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      pass_on(node.inputs[i], inputs[i], is_shared(inputs[i]));
    }
  }

  // A node that is made again. What it records now is newer than all that waits, so it is next, and every
  // sum is made in the order in which it would be had this been recorded at first. The node itself counts as
  // a use of its leaves: they are not complete before.
  void go_through(Node& node) {
    Gradients outputs;
    for (auto& flow : inflows_[&node]) outputs.push_back(flow.sum());
    inflows_.erase(&node);
    if (std::ranges::any_of(outputs, &Tensor::defined)) {
      std::vector<Node::Edge> results;
      for (const Tensor& result : node.replay(node.inputs)) results.push_back(edge_to(result));
      count_leaf_uses(results, &node);
      for (std::size_t i = 0; i < results.size(); ++i) pass_on(results[i], outputs[i], true);
    }
    for (const auto& edge : node.inputs) pass_on(edge, {}, false);
  }

  void pass_on(const Node::Edge& edge, const Tensor& gradient, bool shared) {
    if (edge.leaf.defined()) {
      Meta& meta = *edge.leaf.autograd_meta();
      auto& state = leaves_[&meta];
      if (gradient.defined()) {
        // Others may hold this gradient, or a view of it: the leaf then gets its own.
        const bool own = !shared && gradient.is_contiguous() && gradient.storage().use_count() == 1;
        state.inflow.add(gradient, own);
      }
      if (--state.expected != 0) return;
      accumulate(meta, std::exchange(state.inflow, {}));
      for (const auto& hook : meta.hooks) hook(state.leaf);
    } else if (edge.node) {
      if (gradient.defined())
        inflow(edge.node, edge.output).add(gradient);
      else
        inflow(edge.node, edge.output);
      push(edge.node);
    }
  }

  static void free(Node& node) {
    node.backward = nullptr;
    node.replay = nullptr;
    node.inputs.clear();
    node.freed = true;
  }

  bool retain_;
  std::priority_queue<NodePtr, std::vector<NodePtr>, LaterFirst> ready_;
  std::unordered_set<Node*> queued_;
  std::unordered_map<Node*, std::vector<Inflow>> inflows_;
  std::unordered_map<Meta*, LeafState> leaves_;
};

void check_gradient(const Tensor& root, const Tensor& gradient) {
  if (gradient.shape() != root.shape() || gradient.dtype() != root.dtype()) {
    throw AutogradError(fmt::format("backward: the gradient {} {} does not match the tensor {} {}",
                                    name_of(gradient.dtype()), gradient.shape().str(), name_of(root.dtype()),
                                    root.shape().str()));
  }
}

}  // namespace
}  // namespace autograd

void Tensor::backward(const Tensor& grad, bool retain_graph) const {
  if (!requires_grad()) {
    throw AutogradError("backward: the tensor " + shape().str() +
                        " depends on nothing that requires a gradient (or was computed under NoGrad)");
  }
  autograd::check_gradient(*this, grad);
  NoGrad no_grad;
  Autocast no_autocast(std::nullopt);  // gradients have the precision of what they are of
  if (!autograd_meta()->node) {
    autograd::Inflow inflow;
    inflow.add(grad);
    return autograd::accumulate(*autograd_meta(), inflow);
  }
  autograd::Run(*this, grad, retain_graph).execute();
}

void Tensor::backward(bool retain_graph) const {
  if (numel() != 1) {
    throw AutogradError(fmt::format(
        "backward: a loss is one number, this tensor has shape {}; reduce it, or pass its gradient",
        shape().str()));
  }
  backward(ones(shape(), {dtype(), device()}), retain_graph);
}

}  // namespace tutti
