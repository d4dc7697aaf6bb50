#include "comm/shared/signature.h"

#include <fmt/format.h>

#include <cstring>

namespace tutti::comm {

bool Signature::matches(const Signature& other) const {
  return std::strncmp(name, other.name, sizeof(name)) == 0 && sequence == other.sequence &&
         count == other.count && root == other.root && dtype == other.dtype && op == other.op &&
         (op == no_op || order == other.order);
}

std::string Signature::str() const {
  std::string text = fmt::format("{}({}[{}]", name, name_of(dtype), count);
  if (op != no_op) text += fmt::format(", {}", name_of(static_cast<ReduceOp>(op)));
  if (op != no_op && order == ReduceOrder::any) text += " in any order";
  if (root >= 0) text += fmt::format(", root {}", root);
  return text + ")";
}

Signature make_signature(const Backend::Call& call, std::uint64_t count, DType dtype) {
  Signature signature{};
  std::strncpy(signature.name, call.name, sizeof(signature.name) - 1);
  signature.sequence = call.sequence;
  signature.count = count;
  signature.root = -1;
  signature.dtype = dtype;
  signature.op = Signature::no_op;
  signature.order = call.order;
  return signature;
}

}  // namespace tutti::comm
