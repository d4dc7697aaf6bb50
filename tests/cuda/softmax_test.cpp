#include "tutti/autograd/softmax.h"

#include "kernels/softmax.h"
#include "tests/cuda/rows.h"

namespace tutti::test {
namespace {

TEST_F(GpuTest, SoftmaxOfRowsOfAnyLength) {
  for (const DType dtype : floats) {
    for (const std::int64_t columns : lengths_of(dtype)) {
      for (const bool logarithm : {false, true}) {
        SCOPED_TRACE(std::string(name_of(dtype)) + " " + std::to_string(columns) + (logarithm ? " log" : ""));
        const auto f = [logarithm](const Tensors& x) {
          return logarithm ? log_softmax(x[0]) : softmax(x[0]);
        };
        expect_same_gradients(f, {numbers({3, columns}, dtype)}, gpu);
      }
    }
  }
}

TEST_F(GpuTest, SoftmaxOfOtherLayouts) {
  for (const DType dtype : floats) {
    for (const Tensor& x : layouts(dtype)) {
      for (const std::int64_t dim : {0, 1, 2}) {
        expect_same_gradients([dim](const Tensors& y) { return softmax(y[0], dim); }, {x}, gpu);
      }
    }
    // Rows of which none begins where a pack may.
    const Tensor x = numbers({1 + 2 * 64}, dtype);
    const auto rows = [](const Tensor& y) { return y.slice(0, 1, 129).reshape({2, 64}); };
    expect_close(softmax(rows(x.to(gpu))), softmax(rows(x)), row_tolerance(dtype));
  }
  EXPECT_EQ(softmax(empty({0, 5}, {.device = gpu})).shape(), Shape({0, 5}));
}

TEST_F(GpuTest, CausalRowsEndWithZeros) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const auto& [rows, columns] : {std::array{7, 7}, {5, 8}, {9, 4}, {3, 700}, {2, 4200}, {2, 70'000}}) {
      SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns));
      const Tensor x = numbers({2, rows, columns}, dtype), there = x.to(gpu);
      const auto run = [rows = rows, columns = columns, dtype](const Tensor& in, bool logarithm) {
        const Tensor out = full(in.shape(), 5, {dtype, in.device()});
        kernels::launch<kernels::Softmax>(in.device(), dtype, logarithm, in.raw_data(), out.raw_data(),
                                          std::int64_t{2} * rows, std::int64_t{columns}, std::int64_t{rows});
        return out;
      };
      for (const bool logarithm : {false, true}) {
        expect_close(run(there, logarithm), run(x, logarithm), row_tolerance(dtype));
      }
    }
  }
}

TEST_F(GpuTest, SoftmaxKeepsInfinitiesAndNan) {
  for (const std::int64_t columns : {16, 70'000}) {
    Tensor x = numbers({3, columns}, DType::f32);
    x.slice(1, 0, columns - 3).fill_(-INFINITY);
    x.select(0, 1).fill_(-INFINITY);
    x.select(0, 2).slice(0, 4, 5).fill_(std::nan(""));
    expect_close(softmax(x.to(gpu)), softmax(x), 1e-5);
    expect_close(log_softmax(x.to(gpu)), log_softmax(x), 1e-5);
  }
}

// Its bits too: a step that is split over micro-batches gives what the whole one does.
TEST_F(GpuTest, ARowsResultIsItsOwn) {
  for (const std::int64_t columns : {24, 600, 20'000}) {
    const Tensor x = numbers({5, columns}, DType::f32).to(gpu);
    expect_close(softmax(x.slice(0, 3, 4)), softmax(x).slice(0, 3, 4).to(Device::cpu()), 0);
  }
}

}  // namespace
}  // namespace tutti::test
