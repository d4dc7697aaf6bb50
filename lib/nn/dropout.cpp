#include "tutti/nn/dropout.h"

#include "nn/init.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/dropout.h"

namespace tutti::nn {

// A draw moves `generator` on, so that two modules made from it get streams that differ.
Dropout::Dropout(double p, Generator generator)
    : p_(p), generator_(generator.state().seed, generator.advance(1).position + 1) {
  check_probability("Dropout", p);
}

Tensor Dropout::forward(const Tensor& x) {
  if (!training() || p_ == 0) return x;
  if (p_ == 1) return x * 0.0;
  return dropout(x, p_, generator_);
}

void Dropout::visit(MemberVisitor& visitor) { visitor.generator("generator", generator_); }

}  // namespace tutti::nn
