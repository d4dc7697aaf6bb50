#include "tutti/nn/embedding.h"

#include "nn/init.h"
#include "tutti/autograd/index.h"

namespace tutti::nn {

Embedding::Embedding(std::int64_t count, std::int64_t d, Generator generator) {
  check_sizes("Embedding", {count, d});
  weight = normal_parameter({count, d}, 1, generator);
}

Tensor Embedding::forward(const Tensor& indices) { return embedding(indices, weight); }

void Embedding::visit(MemberVisitor& visitor) { visitor.parameter("weight", weight); }

}  // namespace tutti::nn
