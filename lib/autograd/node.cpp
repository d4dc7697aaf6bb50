#include "tutti/autograd/node.h"

#include <algorithm>
#include <atomic>

#include "tutti/autograd/grad_mode.h"
#include "tutti/core/error.h"

namespace tutti::autograd {
namespace {

// One for all threads: what a thread records on the results of another one comes after them.
std::atomic<std::uint64_t> next_sequence = 0;

}  // namespace

const Tensor& Saved::get() const {
  if (tensor_.defined() && tensor_.storage()->version() != version_) {
    throw AutogradError("backward: a tensor " + tensor_.shape().str() +
                        " that a gradient needs was changed in place after it was used");
  }
  return tensor_;
}

// A long chain is taken apart in a loop: one destructor calling the next would overflow the stack.
Node::~Node() {
  std::vector<std::shared_ptr<Node>> orphans;
  const auto take_inputs = [&orphans](Node& node) {
    for (auto& edge : node.inputs) {
      if (edge.node) orphans.push_back(std::move(edge.node));
    }
    node.inputs.clear();
  };
  take_inputs(*this);
  while (!orphans.empty()) {
    const auto node = std::move(orphans.back());
    orphans.pop_back();
    if (node.use_count() == 1) take_inputs(*node);
  }
}

Node::Edge edge_to(const Tensor& tensor) {
  if (!tensor.defined() || !tensor.requires_grad()) return {};
  const Meta& meta = *tensor.autograd_meta();
  return {meta.node, meta.output, meta.node ? Tensor() : tensor};
}

bool should_record(const std::vector<Tensor>& inputs) {
  return grad_enabled() &&
         std::ranges::any_of(inputs, [](const Tensor& x) { return x.defined() && x.requires_grad(); });
}

void attach(const char* name, const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
            Node::Backward backward) {
  auto node = std::make_shared<Node>();
  node->name = name;
  node->sequence = next_sequence.fetch_add(1, std::memory_order_relaxed);
  node->outputs = static_cast<int>(outputs.size());
  node->backward = std::move(backward);
  for (const Tensor& input : inputs) node->inputs.push_back(edge_to(input));
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    auto meta = std::make_shared<Meta>();
    meta->requires_grad = true;
    meta->node = node;
    meta->output = static_cast<int>(i);
    outputs[i].set_autograd_meta(std::move(meta));
  }
}

}  // namespace tutti::autograd
