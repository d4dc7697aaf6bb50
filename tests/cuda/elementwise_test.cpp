#include "tests/cuda/gpu_test.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/math.h"

namespace tutti::test {
namespace {

struct UnaryCase {
  const char* name;
  Tensor (*f)(const Tensor&);
  bool positive = false;  // defined for positive numbers only
};

const UnaryCase float_functions[] = {
    {"abs", abs},
    {"exp", exp},
    {"log", log, true},
    {"sqrt", sqrt, true},
    {"rsqrt", rsqrt, true},
    {"reciprocal", reciprocal, true},
    {"sin", sin},
    {"cos", cos},
    {"tanh", tanh},
    {"erf", erf},
    {"floor", floor},
    {"sigmoid", sigmoid},
    {"gelu", [](const Tensor& x) { return gelu(x); }},
    {"gelu_tanh", [](const Tensor& x) { return gelu(x, Gelu::tanh); }},
    {"silu", silu},
};
const UnaryCase number_functions[] = {
    {"neg", neg}, {"abs", abs}, {"sign", sign}, {"square", square}, {"relu", relu}};

void compare(const UnaryCase& function, DType dtype, Device gpu) {
  for (Tensor x : layouts(dtype)) {
    SCOPED_TRACE(std::string(function.name) + " " + x.str());
    if (function.positive) x = abs(x) + 0.25;
    expect_close(function.f(same_view(x, gpu)), function.f(x), tolerance_of(dtype));
  }
}

TEST_F(GpuTest, UnaryFunctions) {
  for (const DType dtype : floats) {
    for (const UnaryCase& function : float_functions) compare(function, dtype, gpu);
    for (const UnaryCase& function : number_functions) compare(function, dtype, gpu);
  }
  for (const DType dtype : integers) {
    for (const UnaryCase& function : number_functions) compare(function, dtype, gpu);
  }
  compare({"logical_not", logical_not}, DType::bool_, gpu);
}

TEST_F(GpuTest, UnaryGradients) {
  for (const DType dtype : floats) {
    for (const UnaryCase& function : float_functions) {
      SCOPED_TRACE(std::string(function.name) + " " + std::string(name_of(dtype)));
      Tensor x = numbers({5, 7}, dtype);
      if (function.positive) x = abs(x) + 0.5;
      Tensor there = x.to(gpu);
      x.set_requires_grad();
      there.set_requires_grad();
      const Tensor grad = numbers({5, 7}, dtype, 3);
      function.f(x).backward(grad);
      function.f(there).backward(grad.to(gpu));
      expect_close(there.grad(), x.grad(), 4 * tolerance_of(dtype));
    }
  }
}

struct BinaryCase {
  const char* name;
  Tensor (*f)(const Tensor&, const Tensor&);
};

const BinaryCase number_pairs[] = {
    {"add", add}, {"sub", sub}, {"mul", mul}, {"maximum", maximum}, {"minimum", minimum}};
const BinaryCase comparisons[] = {{"eq", eq}, {"ne", ne}, {"lt", lt}, {"le", le}, {"gt", gt}, {"ge", ge}};

void compare(const BinaryCase& function, DType dtype, Device gpu) {
  for (const Tensor& a : layouts(dtype)) {
    for (const Tensor& b : layouts(dtype, 1)) {
      SCOPED_TRACE(std::string(function.name) + " " + a.str() + b.str());
      expect_close(function.f(same_view(a, gpu), same_view(b, gpu)), function.f(a, b), tolerance_of(dtype));
    }
  }
  const Tensor column = numbers({5, 1}, dtype), row = numbers({7}, dtype, 2), one = numbers({}, dtype, 4);
  expect_close(function.f(column.to(gpu), row.to(gpu)), function.f(column, row), tolerance_of(dtype));
  expect_close(function.f(one.to(gpu), row.to(gpu)), function.f(one, row), tolerance_of(dtype));
}

TEST_F(GpuTest, BinaryFunctions) {
  for (const DType dtype :
       {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i32, DType::i64, DType::u8}) {
    for (const BinaryCase& function : number_pairs) compare(function, dtype, gpu);
    for (const BinaryCase& function : comparisons) compare(function, dtype, gpu);
  }
  for (const DType dtype : floats) compare({"div", div}, dtype, gpu);
  for (const BinaryCase& function : comparisons) compare(function, DType::bool_, gpu);
}

TEST_F(GpuTest, Powers) {
  const Tensor base = abs(numbers({3, 5, 7}, DType::f32)), exponent = numbers({7}, DType::f32, 1);
  expect_close(pow(base.to(gpu), exponent.to(gpu)), pow(base, exponent), 1e-5);
}

TEST_F(GpuTest, NanIsKept) {
  const Tensor x = tensor({1.0f, std::nanf(""), -1.0f}), y = tensor({std::nanf(""), 2.0f, 2.0f});
  expect_close(maximum(x.to(gpu), y.to(gpu)), maximum(x, y), 0);
  expect_close(minimum(x.to(gpu), y.to(gpu)), minimum(x, y), 0);
  expect_close(relu(x.to(gpu)), relu(x), 0);
}

TEST_F(GpuTest, Where) {
  for (const DType dtype : all_dtypes) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor condition = numbers({5, 1}, DType::bool_), a = numbers({3, 5, 7}, dtype),
                 b = numbers({7}, dtype, 1);
    expect_close(where(condition.to(gpu), a.to(gpu), b.to(gpu)), where(condition, a, b), 0);
  }
}

TEST_F(GpuTest, ConversionsGiveTheSameBits) {
  for (const DType from : all_dtypes) {
    for (const DType to : all_dtypes) {
      for (const Tensor& x : layouts(from)) {
        SCOPED_TRACE(std::string(name_of(from)) + " to " + std::string(name_of(to)) + " " + x.str());
        // A negative float has no unsigned value that the language defines.
        const Tensor source = to == DType::u8 && is_floating_point(from) ? abs(x) : x;
        expect_close(same_view(source, gpu).to(to), source.to(to), 0);
      }
    }
  }
}

TEST_F(GpuTest, SixteenBitFloatsKeepTheirEnds) {
  const Tensor x = tensor(
      {0.0f, -0.0f, 1e-8f, 6e-8f, 3e-5f, 65504.0f, 65519.9f, 65520.0f, 3.4e38f, -INFINITY, std::nanf("")});
  for (const DType dtype : {DType::f16, DType::bf16}) expect_close(x.to(gpu).to(dtype), x.to(dtype), 0);
}

TEST_F(GpuTest, AddAndScaleInPlace) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i32, DType::i64}) {
    for (const Tensor& x : layouts(dtype)) {
      SCOPED_TRACE(x.str());
      const Tensor out = numbers({7, 5, 3}, dtype, 2).transpose(0, 2);
      Tensor there = same_view(out, gpu), here = same_view(out, Device::cpu());
      there.add_(same_view(x, gpu), 2.0).mul_(3.0);
      here.add_(x, 2.0).mul_(3.0);
      expect_close(there, here, 2 * tolerance_of(dtype));
    }
  }
}

// With beta 0 what was there is not read: 0 times infinity would be NaN.
TEST_F(GpuTest, ScalingKeepsInfinity) {
  const Tensor x = tensor({1.0f, INFINITY, -INFINITY});
  expect_close(x.to(gpu).mul_(2.0), tensor({2.0f, INFINITY, -INFINITY}), 0);
}

// Packs of 16 bytes, and what is left behind them.
TEST_F(GpuTest, DenseOperandsOfAnyLength) {
  for (const DType dtype : floats) {
    for (const std::int64_t count : {1, 7, 8, 40, 4096, 4096 + 5, 3 * 4096 + 1032}) {
      SCOPED_TRACE(std::string(name_of(dtype)) + " " + std::to_string(count));
      const Tensor x = numbers({count}, dtype), y = numbers({count}, dtype, 1), one = numbers({}, dtype, 2);
      for (const UnaryCase& function : float_functions) {
        const Tensor given = function.positive ? abs(x) + 0.25 : x;
        expect_close(function.f(given.to(gpu)), function.f(given), tolerance_of(dtype));
      }
      for (const BinaryCase& function : number_pairs) {
        expect_close(function.f(x.to(gpu), y.to(gpu)), function.f(x, y), tolerance_of(dtype));
        expect_close(function.f(one.to(gpu), y.to(gpu)), function.f(one, y), tolerance_of(dtype));
      }
      Tensor there = x.to(gpu), here = x.clone();
      there.add_(y.to(gpu), 0.5).mul_(3.0);
      here.add_(y, 0.5).mul_(3.0);
      expect_close(there, here, 2 * tolerance_of(dtype));
      for (const DType to : floats) expect_close(x.to(gpu).to(to), x.to(to), 0);
    }
  }
}

TEST_F(GpuTest, RowsOfWholePacks) {
  for (const DType dtype : floats) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor x = numbers({3, 6, 40}, dtype), row = numbers({40}, dtype, 1),
                 column = numbers({6, 1}, dtype, 2);
    const Tensor part = x.slice(2, 8, 32), part_there = x.to(gpu).slice(2, 8, 32);
    for (const BinaryCase& function : number_pairs) {
      expect_close(function.f(x.to(gpu), row.to(gpu)), function.f(x, row), tolerance_of(dtype));
      expect_close(function.f(column.to(gpu), x.to(gpu)), function.f(column, x), tolerance_of(dtype));
      expect_close(function.f(part_there, row.to(gpu).slice(0, 0, 24)), function.f(part, row.slice(0, 0, 24)),
                   tolerance_of(dtype));
    }
    expect_close(part_there.contiguous(), part.contiguous(), 0);
    expect_close(part_there.to(DType::f64), part.to(DType::f64), 0);
  }
}

TEST_F(GpuTest, TransposedCopies) {
  for (const DType dtype : {DType::u8, DType::bf16, DType::f32, DType::i64}) {
    SCOPED_TRACE(name_of(dtype));
    const Tensor x = numbers({3, 70, 2, 45}, dtype);
    for (const auto& [a, b] : {std::pair{1, 3}, std::pair{0, 3}, std::pair{1, 2}}) {
      expect_close(x.to(gpu).transpose(a, b).contiguous(), x.transpose(a, b).contiguous(), 0);
    }
    Tensor there = zeros({45, 70, 2, 3}, {.dtype = dtype, .device = gpu}),
           here = zeros({45, 70, 2, 3}, {.dtype = dtype});
    there.transpose(0, 3).copy_(x.to(gpu));
    here.transpose(0, 3).copy_(x);
    expect_close(there, here, 0);
  }
}

}  // namespace
}  // namespace tutti::test
