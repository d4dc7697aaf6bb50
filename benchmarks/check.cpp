#include "benchmarks/check.h"

#include <cstring>

namespace tutti::bench {

std::size_t wrong_elements(Communicator& comm, const Operands& operands, const Contents& input,
                           const Contents& result, const std::function<void()>& call) {
  // What an earlier call left there must not count.
  if (operands.out.bytes() > 0) std::memset(operands.out.data, 0x55, operands.out.bytes());
  input.fill(operands.in);
  call();
  std::int64_t wrong[] = {static_cast<std::int64_t>(result.wrong(operands.out))};
  comm.all_reduce(wrong);
  return static_cast<std::size_t>(wrong[0]);
}

}  // namespace tutti::bench
