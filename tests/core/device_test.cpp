#include "tutti/core/device.h"

#include <gmock/gmock.h>

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

}  // namespace
}  // namespace tutti
