#include "tutti/core/device.h"

#include <gmock/gmock.h>

#include "tutti/core/cuda.h"
#include "tutti/core/cuda_graph.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

TEST(Device, WithoutAGpuSaysWhy) {
  std::string why;
  if (Device::has_cuda(&why)) GTEST_SKIP() << "this machine has a GPU";
  EXPECT_THAT(why, AnyOf(StartsWith("Tutti was built without CUDA: "), HasSubstr("NVIDIA driver")));
  EXPECT_THAT([] { Device::cuda(); }, ThrowsMessage<DeviceError>("Device::cuda: " + why));
}

TEST(Device, WithoutAGpuThereIsNothingToWaitFor) {
  std::string why;
  if (Device::has_cuda(&why)) GTEST_SKIP() << "this machine has a GPU";
  const auto says_why = ThrowsMessage<DeviceError>(HasSubstr(why));
  EXPECT_THAT([] { cuda::Stream(); }, says_why);
  EXPECT_THAT([] { cuda::Event(); }, says_why);
  EXPECT_THAT([] { cuda::Graph(); }, says_why);
  EXPECT_THROW(cuda::Stream(Device::cpu()), DeviceError);
  EXPECT_THROW(cuda::each_replay([] {}), DeviceError);
  EXPECT_EQ(cuda::current_stream(Device::cpu()), nullptr);
  EXPECT_NO_THROW(cuda::synchronize(Device::cpu()));
  EXPECT_FALSE(cuda::is_capturing());
}

}  // namespace
}  // namespace tutti
