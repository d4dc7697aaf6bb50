#include "comm/mpi/signature.h"

#include <fmt/format.h>

#include <cstring>

namespace tutti::comm {

MpiSignature MpiSignature::of(const char* name, std::uint64_t count, DType dtype) {
  MpiSignature result;
  result.count = count;
  result.dtype = static_cast<std::uint8_t>(dtype);
  std::strncpy(result.name, name, sizeof result.name - 1);
  return result;
}

MpiSignature MpiSignature::with(ReduceOp reduction) const {
  MpiSignature result = *this;
  result.op = static_cast<std::uint8_t>(reduction);
  return result;
}

MpiSignature MpiSignature::rooted(int rank) const {
  MpiSignature result = *this;
  result.root = rank;
  return result;
}

bool MpiSignature::operator==(const MpiSignature& other) const {
  return std::memcmp(this, &other, sizeof other) == 0;
}

std::string MpiSignature::str() const {
  std::string result = fmt::format("{}({} x {}", name, count, name_of(static_cast<DType>(dtype)));
  if (op != no_op) result += fmt::format(", {}", name_of(static_cast<ReduceOp>(op)));
  if (root >= 0) result += fmt::format(", root {}", root);
  return result + ")";
}

}  // namespace tutti::comm
