#include "tutti/autograd/batch_norm.h"

#include "kernels/batch_norm.h"
#include "kernels/launch.h"
#include "tests/cuda/gpu_test.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/math.h"

namespace tutti::test {
namespace {

// The operands of one batch_norm on a device, all with gradients but the averages.
struct Operands {
  Tensor x, mean, variance, weight, bias;

  Operands(const Shape& shape, DType dtype, DType parameters, Device device) {
    const Shape channels{shape[1]};
    x = numbers(shape, dtype).to(device).set_requires_grad();
    mean = numbers(channels, parameters, 1).to(device);
    variance = (square(numbers(channels, parameters, 2)) + 0.5).to(device);
    weight = numbers(channels, parameters, 3).to(device).set_requires_grad();
    bias = numbers(channels, parameters, 4).to(device).set_requires_grad();
  }
};

void compare(const Shape& shape, DType dtype, DType parameters, bool training, Device gpu) {
  SCOPED_TRACE(shape.str() + " " + std::string(name_of(dtype)) + (training ? " training" : ""));
  Operands here(shape, dtype, parameters, Device::cpu()), there(shape, dtype, parameters, gpu);
  const double tolerance = 10 * tolerance_of(dtype);
  const auto normalise = [&](Operands& o) {
    return batch_norm(o.x, o.mean, o.variance, o.weight, o.bias, {.training = training});
  };
  const Tensor out = normalise(here), out_there = normalise(there);
  expect_close(out_there, out, tolerance);
  expect_close(there.mean, here.mean, tolerance);
  expect_close(there.variance, here.variance, tolerance);
  const Tensor g = numbers(shape, dtype, 7);
  out.backward(g);
  out_there.backward(g.to(gpu));
  expect_close(there.x.grad(), here.x.grad(), tolerance);
  if (shape.numel() == 0) return;
  expect_close(there.weight.grad(), here.weight.grad(), tolerance);
  expect_close(there.bias.grad(), here.bias.grad(), tolerance);
}

TEST_F(GpuTest, BatchNormInTrainingAndAfter) {
  const Shape shapes[] = {{2, 3, 4, 4}, {3, 2, 3, 7}, {7, 4},        {1, 2, 8, 9},
                          {5, 3, 2, 4}, {0, 3, 4, 4}, {2, 1, 40, 70}};
  for (const DType dtype : floats) {
    for (const Shape& shape : shapes) {
      for (const bool training : {true, false}) {
        compare(shape, dtype, dtype, training, gpu);
        if (dtype == DType::bf16) compare(shape, dtype, DType::f32, training, gpu);
      }
    }
  }
}

TEST_F(GpuTest, BatchNormWithoutParametersOrOfMisalignedImages) {
  for (const DType dtype : floats) {
    const Tensor all = numbers({2 * 3 * 8 + 1}, dtype), there = all.to(gpu);
    const auto normalised = [](const Tensor& one) {
      return batch_norm(one.slice(0, 1, 49).reshape({2, 3, 8}), {}, {}, {}, {}, {.training = true});
    };
    expect_close(normalised(there), normalised(all), 10 * tolerance_of(dtype));
  }
}

// Far from zero, where a sum of squares in f32 would have nothing left, and beside an outlier that comes first.
TEST_F(GpuTest, BatchStatisticsKeepTheirDigits) {
  std::vector<double> values(2 * 3 * 4096);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = 10000.0 + static_cast<double>(i * 37 % 101) / 16;
  values[4096] = 3e6;
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = from(values, {2, 3, 4096}).to(dtype), there = x.to(gpu);
    const kernels::BatchNormArgs args{dtype, 2, 3, 4096};
    const Tensor exact = x.to(DType::f64);
    const Tensor mean = empty({3}, {.dtype = DType::f64}), variance = empty({3}, {.dtype = DType::f64});
    kernels::BatchStatistics::cpu({DType::f64, 2, 3, 4096}, exact.raw_data(), mean.raw_data(),
                                  variance.raw_data());
    const Tensor mean_there = empty({3}, {dtype, gpu}), variance_there = empty({3}, {dtype, gpu});
    kernels::launch<kernels::BatchStatistics>(gpu, args, there.raw_data(), mean_there.raw_data(),
                                              variance_there.raw_data());
    const double tolerance = dtype == DType::f32 ? 5e-7 : 1e-11;
    expect_close(mean_there.to(DType::f64), mean, tolerance);
    expect_close(variance_there.to(DType::f64), variance, tolerance);
  }
}

}  // namespace
}  // namespace tutti::test
