#include "tutti/nn/linear.h"

#include "nn/init.h"
#include "tutti/autograd/matmul.h"

namespace tutti::nn {

Linear::Linear(std::int64_t in, std::int64_t out, Generator generator, const LinearOptions& options) {
  check_sizes("Linear", {in, out});
  weight = uniform_parameter({out, in}, in, generator);
  if (options.bias) bias = uniform_parameter({out}, in, generator);
}

Tensor Linear::forward(const Tensor& x) { return linear(x, weight, bias); }

void Linear::visit(MemberVisitor& visitor) {
  visitor.parameter("weight", weight);
  visitor.parameter("bias", bias);
}

}  // namespace tutti::nn
