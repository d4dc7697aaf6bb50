// Collectives of GPUs between processes, which are forked: real GPUs do not live through that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/comm/processes.h"
#include "tutti/tensor/creation.h"
#include "tutti/tensor/fingerprint.h"

namespace tutti::test {
namespace {

std::string reduced(Communicator& comm, Device device) {
  std::string result;
  for (const std::int64_t count : {10, 50'000, (1 << 20) + 1}) {
    Tensor x = full({count}, 0.1 + comm.rank(), {.device = device});
    const Tensor all = zeros({3 * count}, {.device = device});
    comm.all_reduce(x, ReduceOp::avg);
    auto work = comm.all_gather_async(x.mul_(comm.rank() + 1), all);
    work.wait();
    result += fingerprint({{"x", x}, {"all", all}});
  }
  return result;
}

TEST(Processes, CollectivesOfGpusGiveTheBitsOfTheCpu) {
  test::Processes ranks(3, [](Communicator& comm) {
    return reduced(comm, Device::cuda(comm.rank() % 2)) == reduced(comm, Device::cpu()) ? "the same"
                                                                                        : "others";
  });
  EXPECT_THAT(ranks.reports(), ::testing::Each("the same"));
}

}  // namespace
}  // namespace tutti::test
