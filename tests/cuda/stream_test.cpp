#include <thread>

#include "tests/cuda/gpu_test.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/core/cuda.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST_F(GpuTest, AScopeSaysWhatTheCurrentStreamIs) {
  EXPECT_EQ(cuda::current_stream(gpu), nullptr);
  EXPECT_EQ(cuda::current_stream(Device::cpu()), nullptr);
  const cuda::Stream a(gpu), b(gpu);
  EXPECT_NE(a.handle(), b.handle());
  {
    const cuda::StreamScope in_a(a);
    EXPECT_EQ(cuda::current_stream(gpu), a.handle());
    {
      const cuda::StreamScope in_b(gpu, b.handle());
      EXPECT_EQ(cuda::current_stream(gpu), b.handle());
      std::thread([this] { EXPECT_EQ(cuda::current_stream(gpu), nullptr); }).join();
    }
    EXPECT_EQ(cuda::current_stream(gpu), a.handle());
  }
  EXPECT_EQ(cuda::current_stream(gpu), nullptr);
}

TEST_F(GpuTest, OneStreamWaitsForAnotherByAnEvent) {
  const Tensor x = numbers({1000}, DType::f32);
  cuda::Event there(gpu), done(gpu);
  const Tensor on_gpu = x.to(gpu);
  there.record();
  Tensor sum;
  const cuda::Stream side(gpu);
  {
    const cuda::StreamScope scope(side);
    there.wait();
    sum = on_gpu + on_gpu;
    done.record();
  }
  done.wait();
  expect_close(sum, x + x, 0);
  side.synchronize();
  EXPECT_TRUE(side.query());
  EXPECT_TRUE(done.query());
}

TEST_F(GpuTest, EventsTellMilliseconds) {
  cuda::Event start(gpu, true), end(gpu, true), plain(gpu);
  start.record();
  const Tensor x = ones({100'000}, {.device = gpu});
  end.record();
  end.synchronize();
  EXPECT_GE(end.milliseconds_since(start), 0);
  plain.record();
  cuda::synchronize(gpu);
  EXPECT_THAT([&] { (void)plain.milliseconds_since(start); }, ThrowsMessage<DeviceError>(HasSubstr("timed")));
}

TEST_F(GpuTest, StreamsAreOfGpus) {
  EXPECT_THAT([] { cuda::Stream{Device::cpu()}; }, ThrowsMessage<DeviceError>(HasSubstr("needs a GPU")));
  EXPECT_THROW(cuda::Event{Device::cpu()}, DeviceError);
  EXPECT_NO_THROW(cuda::synchronize(Device::cpu()));
}

TEST_F(GpuTest, TensorsOutliveTheirStream) {
  const Tensor x = numbers({333}, DType::f32);
  Tensor there;
  {
    const cuda::Stream side(gpu);
    const cuda::StreamScope scope(side);
    there = x.to(gpu) + ones({333}, {.device = gpu});
  }
  expect_close(there, x + ones({333}), 0);
}

}  // namespace
}  // namespace tutti::test
