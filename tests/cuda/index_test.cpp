#include <algorithm>

#include "kernels/index.h"
#include "tests/cuda/gpu_test.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/index.h"
#include "tutti/autograd/reduce.h"

namespace tutti::test {
namespace {

// Sums in another order; long ones of bf16 and f16 are rounded once.
double sum_tolerance(DType dtype) { return dtype == DType::f32 ? 1e-5 : dtype == DType::f64 ? 1e-12 : 1e-2; }

// Indices in [0, n), many of them equal.
Tensor indices(std::int64_t count, std::int64_t n, std::int64_t step = 7) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(i * i * step % (i % 3 == 0 ? n : std::min<std::int64_t>(n, 3)));
  return from(values, {count});
}

using Pick = Tensor (*)(const Tensor& x, const Tensor& index);

// The same rows and the same gradient on both, and the same bits each time.
void compare(Pick pick, Tensor x, const Tensor& index, Device gpu) {
  Tensor there = same_view(x, gpu);
  x = same_view(x, Device::cpu());
  x.set_requires_grad();
  there.set_requires_grad();
  const Tensor expected = pick(x, index), actual = pick(there, index.to(gpu));
  expect_close(actual.detach(), expected.detach(), 0);
  const Tensor g = numbers(expected.shape(), x.dtype(), 3);
  expected.backward(g);
  actual.backward(g.to(gpu), true);
  expect_close(there.grad(), x.grad(), sum_tolerance(x.dtype()));
  const Tensor first = there.grad().to(Device::cpu());
  there.set_grad({});
  actual.backward(g.to(gpu));
  expect_close(there.grad(), first, 0);
}

TEST_F(GpuTest, EmbeddingAndItsGradient) {
  for (const DType dtype : floats) {
    SCOPED_TRACE(name_of(dtype));
    const Pick pick = [](const Tensor& x, const Tensor& index) { return embedding(index, x); };
    for (const std::int64_t count : {0, 1, 33, 130})
      compare(pick, numbers({11, 3}, dtype), indices(count, 11), gpu);
    for (const std::int64_t d : {1, 8, 264}) compare(pick, numbers({11, d}, dtype), indices(40, 11), gpu);
    compare(pick, numbers({12, 9}, dtype).slice(0, 1, 12).slice(1, 1, 9), indices(40, 11), gpu);
  }
}

// Segments of several pieces, the last one of each short and beside the first one of the next.
TEST_F(GpuTest, LongSegmentsOfAGradientSideBySide) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < 200; ++i) values.push_back(i / 40);
  const Pick pick = [](const Tensor& x, const Tensor& index) { return embedding(index, x); };
  compare(pick, numbers({7, 3}, DType::f32), from(values, {200}), gpu);
}

TEST_F(GpuTest, IndexSelectAndItsGradient) {
  for (const DType dtype : floats) {
    compare([](const Tensor& x, const Tensor& index) { return index_select(x, 1, index); },
            numbers({3, 5, 4}, dtype), indices(40, 5), gpu);
    compare([](const Tensor& x, const Tensor& index) { return index_select(x, -1, index); },
            numbers({3, 5}, dtype), indices(40, 5), gpu);
    compare([](const Tensor& x, const Tensor& index) { return index_select(x, 0, index.to(DType::i32)); },
            numbers({5, 3}, dtype).transpose(0, 1), indices(7, 3), gpu);
  }
  for (const DType dtype : {DType::i32, DType::i64, DType::u8, DType::bool_}) {
    const Tensor x = numbers({5, 3}, DType::u8).to(dtype);
    expect_close(index_select(x.to(gpu), 0, indices(9, 5).to(gpu)), index_select(x, 0, indices(9, 5)), 0);
  }
}

TEST_F(GpuTest, GatherAndItsGradient) {
  for (const DType dtype : floats) {
    const Tensor index = indices(3 * 20 * 2, 7).reshape({3, 20, 2});
    compare([](const Tensor& x, const Tensor& i) { return gather(x, 1, i); }, numbers({3, 7, 2}, dtype),
            index, gpu);
    compare([](const Tensor& x, const Tensor& i) { return gather(x, -1, i); }, numbers({4, 9}, dtype),
            indices(4, 9).reshape({4, 1}), gpu);
  }
  const Tensor bytes = numbers({4, 9}, DType::u8), index = indices(8, 9).reshape({4, 2});
  expect_close(gather(bytes.to(gpu), 1, index.to(gpu)), gather(bytes, 1, index), 0);
}

// More keys than a tile sorts, more than one digit, and segments of many pieces: as sums in f64.
TEST_F(GpuTest, LongGradientsOfEmbeddings) {
  const std::int64_t n = 700, count = 2500;
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(i % 2 == 0 ? 300 : i * 7919 % n);
  const Tensor index = from(values, {count});
  for (const DType dtype : {DType::f32, DType::bf16}) {
    Tensor weight = zeros({n, 2}, {dtype, gpu});
    weight.set_requires_grad();
    const Tensor g = numbers({count, 2}, dtype);
    embedding(index.to(gpu), weight).backward(g.to(gpu));
    Tensor exact = zeros({n, 2}, {.dtype = DType::f64});
    exact.set_requires_grad();
    embedding(index, exact).backward(g.to(DType::f64));
    expect_close(weight.grad(), exact.grad().to(dtype), dtype == DType::f32 ? 1e-6 : 4e-3);
  }
}

TEST_F(GpuTest, SumsByIndexOfIntegers) {
  for (const DType dtype : integers) {
    const Tensor index = indices(100, 4), g = numbers({100, 3}, dtype);
    Tensor out = numbers({4, 3}, dtype, 2), there = out.to(gpu);
    kernels::IndexAdd::cpu(dtype, out.raw_data(), index.data<std::int64_t>(), g.raw_data(), 1, 4, 3, 100);
    const Tensor index_there = index.to(gpu), g_there = g.to(gpu);
    if constexpr (kernels::with_cuda)
      kernels::IndexAdd::cuda(dtype, there.raw_data(), index_there.data<std::int64_t>(), g_there.raw_data(),
                              1, 4, 3, 100);
    expect_close(there, out, 0);
  }
}

TEST_F(GpuTest, IndicesOutsidePickNothing) {
  const Tensor index = tensor<std::int64_t>({1, -1, 3, 0, std::int64_t{1} << 40});
  for (const DType dtype : floats) {
    Tensor x = numbers({3, 5}, dtype).to(gpu);
    x.set_requires_grad();
    const Tensor y = embedding(index.to(gpu), x);
    const auto values = y.detach().to(Device::cpu()).to(DType::f64).to_vector<double>();
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(std::isnan(values[i]), i / 5 != 0 && i / 5 != 3);
    y.backward(ones_like(y.detach()));
    expect_close(x.grad(), tensor({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0}, {3, 5}).to(dtype), 0);
    Tensor z = numbers({2, 3}, dtype).to(gpu);
    z.set_requires_grad();
    const Tensor picked = gather(z, 1, tensor<std::int64_t>({0, 3, -1, 2}, {2, 2}).to(gpu));
    EXPECT_TRUE(std::isnan(picked.select(0, 0).select(0, 1).item<double>()));
    EXPECT_TRUE(std::isnan(picked.select(0, 1).select(0, 0).item<double>()));
    picked.backward(ones_like(picked.detach()));
    expect_close(z.grad(), tensor({1, 0, 0, 0, 0, 1}, {2, 3}).to(dtype), 0);
  }
  const Tensor x = numbers({3, 2}, DType::i64) + 1;
  expect_close(index_select(x.to(gpu), 0, tensor<std::int64_t>({5}).to(gpu)),
               zeros({1, 2}, {.dtype = DType::i64}), 0);
}

}  // namespace
}  // namespace tutti::test
