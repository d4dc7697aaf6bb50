#include "tests/cuda/gpu_test.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST_F(GpuTest, BytesComeBackAsTheyWent) {
  for (const DType dtype : all_dtypes) {
    for (const std::int64_t count : {0, 1, 255, 257, 100'003}) {
      SCOPED_TRACE(std::string(name_of(dtype)) + " " + std::to_string(count));
      const Tensor x = numbers({count}, dtype);
      const Tensor there = x.to(gpu);
      EXPECT_EQ(there.device(), gpu);
      expect_close(there.clone(), x, 0);
    }
  }
}

TEST_F(GpuTest, StridedViewsTravel) {
  for (const Tensor& x : layouts(DType::f32)) {
    expect_close(x.to(gpu), x, 0);
    expect_close(same_view(x, gpu), x, 0);
  }
}

TEST_F(GpuTest, FillAndZeroTouchOnlyTheView) {
  for (const DType dtype : all_dtypes) {
    SCOPED_TRACE(name_of(dtype));
    for (const double value : {0.0, 1.0}) {
      const Tensor x = numbers({9, 11}, dtype);
      const Tensor there = x.to(gpu);
      x.slice(1, 1, 10, 3).fill_(value);
      there.slice(1, 1, 10, 3).fill_(value);
      expect_close(there, x, 0);
    }
    expect_close(zeros({1001}, {.dtype = dtype, .device = gpu}), zeros({1001}, {.dtype = dtype}), 0);
  }
}

TEST_F(GpuTest, ArangeGivesTheNumbersOfTheCpu) {
  for (const DType dtype : all_dtypes) {
    if (dtype == DType::bool_) continue;
    expect_close(arange(3, 90, 0.7, {dtype, gpu}), arange(3, 90, 0.7, {.dtype = dtype}), 0);
  }
}

TEST_F(GpuTest, TooMuchMemoryIsRefusedWithTheAmount) {
  EXPECT_THAT([this] { empty({std::int64_t{1} << 50}, {.dtype = DType::u8, .device = gpu}); },
              ThrowsMessage<DeviceError>(AllOf(HasSubstr("1125899906842624 bytes"), HasSubstr("free"))));
  expect_close(ones({3}, {.device = gpu}), ones({3}), 0);  // and nothing is broken since
}

}  // namespace
}  // namespace tutti::test
