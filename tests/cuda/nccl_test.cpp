// One rank over the real NCCL. What takes several GPUs is tested over a fake one, in tests/nccl.
#include <cstdlib>

#include "tests/cuda/gpu_test.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class NcclWorld : public testing::Test {
 protected:
  void SetUp() override { setenv("TUTTI_BACKEND", "nccl", 1); }
  void TearDown() override { unsetenv("TUTTI_BACKEND"); }

  // Or null, with the reason.
  std::unique_ptr<World> join(std::string& why) {
    try {
      return std::make_unique<World>();
    } catch (const ConfigError& error) {
      why = error.what();
    } catch (const DeviceError& error) {
      why = error.what();
    }
    return nullptr;
  }
};

TEST_F(NcclWorld, WithoutAGpuOrNcclSaysWhy) {
  std::string why;
  if (join(why)) GTEST_SKIP() << "NCCL runs here";
  EXPECT_THAT(why, AnyOf(HasSubstr("this Tutti was built without NCCL: "),
                         StartsWith("World: TUTTI_BACKEND=nccl: ")));
}

TEST_F(NcclWorld, OfOneRankKeepsWhatItHas) {
  std::string why;
  const auto world = join(why);
  if (!world) GTEST_SKIP() << why;
  EXPECT_EQ(world->backend(), "nccl");
  EXPECT_EQ(world->device(), Device::cuda());
  for (const DType dtype : all_dtypes) {
    const Tensor before = numbers({1000}, dtype);
    Tensor there = before.to(world->device());
    world->all_reduce(there);
    world->all_gather(there);
    world->broadcast(there);
    expect_close(there, before, 0);
    const Tensor out = zeros({1000}, {.dtype = dtype, .device = world->device()});
    world->all_to_all(there, out);
    world->send_recv(there, 0, out, 0);
    auto work = world->reduce_scatter_async(there, out, ReduceOp::max);
    work.wait_on(nullptr);
    expect_close(out, before, 0);
    work.wait();
  }
  Tensor here = ones({10});
  world->all_reduce(here);
  expect_close(here, ones({10}), 0);
  world->barrier();
}

TEST_F(NcclWorld, RegistersMemory) {
  std::string why;
  const auto world = join(why);
  if (!world) GTEST_SKIP() << why;
  const auto memory = world->allocate(4000, world->device());
  Tensor x = from_buffer({memory.get(), 1000, DType::f32, world->device()}, {1000}, memory);
  x.fill_(3);
  world->all_reduce(x);
  expect_close(x, full({1000}, 3.0), 0);
}

}  // namespace
}  // namespace tutti::test
