#include "tutti/autograd/matmul.h"

#include "kernels/matmul.h"
#include "tests/cuda/gpu_test.h"

namespace tutti::test {
namespace {

constexpr double matmul_tolerance(DType dtype) {
  return dtype == DType::f64 ? 1e-13 : dtype == DType::f32 ? 1e-5 : tolerance_of(dtype);
}

void expect_same_product(const Tensor& a, const Tensor& b, Device gpu) {
  expect_close(matmul(same_view(a, gpu), same_view(b, gpu)), matmul(a, b), matmul_tolerance(a.dtype()));
}

TEST_F(GpuTest, ProductsOfOddSizes) {
  for (const DType dtype : floats) {
    for (const auto& [m, n, k] :
         {std::array{1, 1, 1}, {1, 7, 5}, {7, 1, 5}, {7, 5, 1}, {33, 17, 65}, {129, 131, 67}}) {
      SCOPED_TRACE(std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k));
      const Tensor a = numbers({m, k}, dtype), b = numbers({k, n}, dtype, 1);
      const Tensor at = numbers({k, m}, dtype).transpose(0, 1),
                   bt = numbers({n, k}, dtype, 1).transpose(0, 1);
      expect_same_product(a, b, gpu);
      expect_same_product(at, b, gpu);
      expect_same_product(a, bt, gpu);
      expect_same_product(at, bt, gpu);
    }
  }
}

TEST_F(GpuTest, ProductsOfBatches) {
  for (const DType dtype : floats) {
    const Tensor a = numbers({2, 3, 5, 7}, dtype), b = numbers({2, 3, 7, 9}, dtype, 1);
    expect_same_product(a, b, gpu);
    expect_same_product(a, numbers({7, 9}, dtype, 2), gpu);
    expect_same_product(a.transpose(0, 1), numbers({7, 9}, dtype, 2), gpu);
    expect_same_product(a, numbers({3, 7, 9}, dtype, 2), gpu);
    expect_same_product(a, numbers({2, 1, 7, 9}, dtype, 2), gpu);
    expect_same_product(a.transpose(2, 3), numbers({2, 3, 5, 4}, dtype, 3), gpu);
  }
}

// A view that begins at an odd element has no 16-byte loads.
TEST_F(GpuTest, ProductsOfViewsAtAnyOffset) {
  for (const DType dtype : floats) {
    const Tensor a = numbers({9, 16}, dtype).slice(1, 1, 14).slice(0, 1, 9);
    const Tensor b = numbers({14, 64}, dtype, 1).slice(0, 1, 14).slice(1, 3, 64);
    expect_same_product(a, b, gpu);
    expect_same_product(b.transpose(0, 1), a.transpose(0, 1), gpu);
  }
}

// Added in bf16 it would stop at 256; by way of f32 it would be the same, but of twice the bytes.
TEST_F(GpuTest, SumsOf16BitsAreF32) {
  const Tensor a = full({1, 512}, 1, {.dtype = DType::bf16, .device = gpu});
  EXPECT_EQ(matmul(a, a.transpose(0, 1)).to(Device::cpu()).item(), 512);
}

TEST_F(GpuTest, GradientsOfProducts) {
  for (const DType dtype : floats) {
    Tensor a = numbers({2, 5, 7}, dtype), b = numbers({2, 7, 6}, dtype, 1), a_there = a.to(gpu),
           b_there = b.to(gpu);
    for (Tensor* t : {&a, &b, &a_there, &b_there}) t->set_requires_grad();
    const Tensor g = numbers({2, 5, 6}, dtype, 2);
    matmul(a, b).backward(g);
    matmul(a_there, b_there).backward(g.to(gpu));
    expect_close(a_there.grad(), a.grad(), matmul_tolerance(dtype));
    expect_close(b_there.grad(), b.grad(), matmul_tolerance(dtype));
  }
}

TEST_F(GpuTest, EmptySumsAreZero) {
  expect_close(matmul(empty({3, 0}, {.device = gpu}), empty({0, 5}, {.device = gpu})), zeros({3, 5}), 0);
}

TEST_F(GpuTest, BetaAddsToWhatWasThere) {
  for (const DType dtype : floats) {
    for (const std::int64_t k : {0, 11}) {
      const Tensor a = numbers({2, 5, 11}, dtype), b = numbers({11, 7}, dtype, 1),
                   out = numbers({2, 5, 8}, dtype, 2);
      const auto run = [k](const Tensor& x, const Tensor& y, const Tensor& into) {
        kernels::launch<kernels::Matmul>(x.device(), kernels::MatmulArgs{.dtype = x.dtype(),
                                                                         .batch = 2,
                                                                         .m = 5,
                                                                         .n = 7,
                                                                         .k = k,
                                                                         .a = x.raw_data(),
                                                                         .lda = 11,
                                                                         .a_batch = 55,
                                                                         .a_transposed = false,
                                                                         .b = y.raw_data(),
                                                                         .ldb = 7,
                                                                         .b_batch = 0,
                                                                         .b_transposed = false,
                                                                         .out = into.raw_data(),
                                                                         .ldo = 8,
                                                                         .out_batch = 40,
                                                                         .beta = 0.5});
      };
      const DType wide = dtype == DType::f64 ? dtype : DType::f32;  // the CPU's kernel takes no other
      const Tensor here = out.to(wide).clone(), there = out.to(gpu);
      run(a.to(wide), b.to(wide), here);
      run(a.to(gpu), b.to(gpu), there);
      expect_close(there, here.to(dtype), matmul_tolerance(dtype));
    }
  }
}

}  // namespace
}  // namespace tutti::test
