#include <gmock/gmock.h>

#include "tests/cuda/gpu_test.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST_F(GpuTest, ASecondLookAtTheReasonFindsNone) {
  std::string why = "left over";
  EXPECT_TRUE(Device::has_cuda(&why));
  EXPECT_EQ(why, "");
}

TEST_F(GpuTest, IndexOutOfRangeIsNamed) {
  EXPECT_THAT([] { Device::cuda(1000); }, ThrowsMessage<DeviceError>(HasSubstr("there is no GPU 1000")));
  EXPECT_THROW(Device::cuda(-1), DeviceError);
}

}  // namespace
}  // namespace tutti::test
