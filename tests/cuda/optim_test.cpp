#include "kernels/optim.h"

#include <bit>

#include "tests/cuda/gpu_test.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/optim/adam.h"
#include "tutti/optim/clip_grad.h"
#include "tutti/optim/sgd.h"

namespace tutti::test {
namespace {

double step_tolerance(DType dtype) {
  return size_of(dtype) == 2 ? tolerance_of(dtype) : dtype == DType::f32 ? 1e-5 : 1e-12;
}

// Parameters of odd sizes, one misaligned, one empty, some longer than a block's part.
NamedTensors parameters_on(Device device, DType dtype) {
  NamedTensors result;
  for (const std::int64_t n : {1, 0, 7, 64, 5000}) {
    const Tensor whole = numbers({n + 3}, dtype, static_cast<int>(n)).to(device);
    for (const std::int64_t shift : {0, 3}) {
      Tensor p = whole.clone().slice(0, shift, shift + n).detach();
      result.push_back({"p" + std::to_string(n) + "_" + std::to_string(shift), p.set_requires_grad()});
    }
  }
  return result;
}

void set_gradients(const NamedTensors& parameters, int seed) {
  for (auto [name, p] : parameters) {
    if (seed == 1 && name == "p7_0") {
      p.set_grad({});  // so that its step is another from then on
    } else {
      p.set_grad((numbers(p.shape(), p.dtype(), seed) * 0.1).to(p.device()));
    }
  }
}

template <typename MakeOptimizer>
void compare(MakeOptimizer make, DType dtype, Device gpu) {
  SCOPED_TRACE(name_of(dtype));
  const auto here = parameters_on(Device::cpu(), dtype), there = parameters_on(gpu, dtype);
  auto a = make(here), b = make(there);
  for (int step = 0; step < 3; ++step) {
    set_gradients(here, step);
    set_gradients(there, step);
    a.step();
    b.step();
  }
  for (std::size_t i = 0; i < here.size(); ++i) {
    SCOPED_TRACE(here[i].name);
    expect_close(there[i].tensor.detach(), here[i].tensor.detach(), step_tolerance(dtype));
  }
  const auto expected = a.state_dict(), actual = b.state_dict();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE(expected[i].name);
    expect_close(actual[i].tensor, expected[i].tensor, step_tolerance(expected[i].tensor.dtype()));
  }
}

TEST_F(GpuTest, StepsOfOptimizers) {
  for (const DType dtype : floats) {
    compare([](const auto& p) { return optim::SGD(p, {.lr = 0.1, .weight_decay = 0.01}); }, dtype, gpu);
    compare([](const auto& p) { return optim::SGD(p, {.lr = 0.1, .momentum = 0.9, .dampening = 0.3}); },
            dtype, gpu);
    compare([](const auto& p) { return optim::SGD(p, {.lr = 0.1, .momentum = 0.9, .nesterov = true}); },
            dtype, gpu);
    compare([](const auto& p) { return optim::Adam(p, {.lr = 0.01, .weight_decay = 0.1}); }, dtype, gpu);
    compare([](const auto& p) { return optim::AdamW(p, {.lr = 0.01, .weight_decay = 0.1}); }, dtype, gpu);
  }
}

// More tensors than one launch takes.
TEST_F(GpuTest, AStepOfManyParameters) {
  NamedTensors here, there;
  for (int i = 0; i < 150; ++i) {
    here.push_back({std::to_string(i), numbers({i % 5 + 1}, DType::f32, i).set_requires_grad()});
    there.push_back({std::to_string(i), here.back().tensor.detach().to(gpu).set_requires_grad()});
  }
  optim::AdamW a(here), b(there);
  set_gradients(here, 2);
  set_gradients(there, 2);
  a.step();
  b.step();
  for (std::size_t i = 0; i < here.size(); ++i)
    expect_close(there[i].tensor.detach(), here[i].tensor.detach(), 1e-6);
}

// As a captured step has them.
TEST_F(GpuTest, ScalarsOfAStepMayLieOnTheGpu) {
  if constexpr (kernels::with_cuda) {
    const auto p = [&](int seed) { return numbers({100}, DType::f32, seed).to(gpu); };
    const Tensor w[] = {p(0), p(0)}, g = p(1), m[] = {p(2), p(2)},
                 v[] = {ones({100}, {.device = gpu}), ones({100}, {.device = gpu})};
    const Tensor scalars = tensor({0.99, 0.01, 0.5}).to(gpu);
    for (const int i : {0, 1}) {
      const kernels::AdamArgs args{
          .dtype = DType::f32,
          .count = 100,
          .parameter = w[i].raw_data(),
          .grad = g.raw_data(),
          .exp_avg = m[i].raw_data(),
          .exp_avg_sq = v[i].raw_data(),
          .beta1 = 0.9,
          .beta2 = 0.99,
          .eps = 1e-8,
          .weight_decay = 0,
          .scalars = i == 0 ? kernels::AdamScalars{0.99, 0.01, 0.5} : kernels::AdamScalars{},
          .on_device = i == 0 ? nullptr : static_cast<kernels::AdamScalars*>(scalars.raw_data())};
      kernels::AdamStep::cuda(std::span(&args, 1));
    }
    expect_close(w[1], w[0].to(Device::cpu()), 0);
  }
}

TEST_F(GpuTest, NormsHaveTheBitsOfTheCpu) {
  for (const DType dtype : floats) {
    for (const std::int64_t n : {1, 15, 1025, 100000}) {
      for (const std::int64_t shift : {0, 1}) {
        const Tensor g = numbers({n + shift}, dtype);
        Tensor here = zeros({n}, {.dtype = dtype}).set_requires_grad(),
               there = zeros({n}, {dtype, gpu}).set_requires_grad();
        here.set_grad(g.slice(0, shift, n + shift));
        there.set_grad(g.to(gpu).slice(0, shift, n + shift));
        const double norm = optim::grad_norm({{"p", here}});
        const double norm_there = optim::grad_norm({{"p", there}});
        if (dtype == DType::f64) {  // where a product is fused with its sum, it is more exact
          EXPECT_NEAR(norm_there, norm, 1e-14 * norm);
        } else {
          EXPECT_EQ(norm_there, norm) << name_of(dtype) << n;
        }
      }
    }
  }
}

TEST_F(GpuTest, NormsOfManyChunksAreSummedInTheTree) {
  for (const std::int64_t n : {0, 1, 2, 3, 5, 1000, 1024, 1025, 2047, 2048, 5001}) {
    const Tensor sums = numbers({n}, DType::f64) * numbers({n}, DType::f64), there = sums.to(gpu);
    const Tensor norm = zeros({}, {.dtype = DType::f64}), norm_there = norm.to(gpu);
    kernels::NormOfSums::cpu(sums.data<double>(), n, norm.data<double>());
    if constexpr (kernels::with_cuda)
      kernels::NormOfSums::cuda(there.data<double>(), n, norm_there.data<double>());
    EXPECT_EQ(norm_there.item<double>(), norm.item<double>()) << n;
  }
}

TEST_F(GpuTest, ClipsGradients) {
  for (const DType dtype : floats) {
    for (const double bound : {0.5, 1e6}) {
      const auto here = parameters_on(Device::cpu(), dtype), there = parameters_on(gpu, dtype);
      set_gradients(here, 1);
      set_gradients(there, 1);
      const double norm = optim::clip_grad_norm_(here, bound);
      EXPECT_DOUBLE_EQ(optim::clip_grad_norm_async_(there, bound).item<double>(), norm);
      for (std::size_t i = 0; i < here.size(); ++i) {
        if (const Tensor g = here[i].tensor.grad(); g.defined())
          expect_close(there[i].tensor.grad(), g, tolerance_of(dtype));
      }
    }
  }
  // Gradients that are not dense, and on several devices.
  Tensor a = zeros({2, 3}).set_requires_grad(), b = zeros({2, 3}, {.device = gpu}).set_requires_grad();
  a.set_grad(ones({2, 3}));
  b.set_grad(ones({3, 2}, {.device = gpu}).transpose(0, 1));
  EXPECT_EQ(optim::clip_grad_norm_({{"a", a}, {"b", b}}, 1), std::sqrt(12.0));
  expect_close(b.grad(), a.grad(), 1e-6);
  EXPECT_NEAR(a.grad().to_vector<float>()[5], 1 / std::sqrt(12.0), 1e-6);
}

}  // namespace
}  // namespace tutti::test
