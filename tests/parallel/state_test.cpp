// Random numbers and buffers, of each logical rank its own.
#include <gmock/gmock.h>

#include <map>

#include "tests/parallel/training.h"

namespace tutti::test {
namespace {

struct Noise : nn::Module {
  nn::Dropout dropout;
  Tensor scale = ones({64}).set_requires_grad();

  Noise() : dropout(0.5, Generator(1)) {}
  Tensor forward(const Tensor& x) override { return dropout(x * scale); }
  void visit(nn::MemberVisitor& v) override {
    v.module("dropout", dropout);
    v.parameter("scale", scale);
  }
};

// What is dropped where, in which step and by which logical rank.
TEST(Randomness, IsAFunctionOfTheStepAndTheLogicalRank) {
  std::map<std::pair<int, int>, std::vector<float>> drawn;
  std::mutex mutex;
  for (const int size : {1, 2, 3, 4}) {
    agreed(size, 4, [&](Communicator& comm) {
      Noise net;
      DataParallel parallel(net, comm);
      for (int step = 0; step < 3; ++step) {
        for (const int v : parallel.micro_batches()) {
          const Tensor y = net(ones({64}));
          {
            std::scoped_lock lock(mutex);
            const auto [place, is_new] = drawn.insert({{step, v}, y.to_vector<float>()});
            EXPECT_EQ(place->second, y.to_vector<float>()) << size << " ranks, step " << step << ", " << v;
          }
          parallel.backward(sum(y));
        }
      }
      return "";
    });
  }
  std::set<std::vector<float>> different;
  for (const auto& [where, values] : drawn) different.insert(values);
  EXPECT_EQ(different.size(), 12u);
}

// Buffers that take their values from the input.
struct Counter : nn::Module {
  Tensor scale = ones({}).set_requires_grad();
  Tensor f64 = zeros({2}, {.dtype = DType::f64}), bf16 = zeros({}, {.dtype = DType::bf16});
  Tensor i64 = zeros({}, {.dtype = DType::i64}), still = ones({3});

  Tensor forward(const Tensor& x) override {
    f64.copy_(x);
    bf16.copy_(x);
    i64.add_(ones({}, {.dtype = DType::i64}));
    return sum(x) * scale;
  }
  void visit(nn::MemberVisitor& v) override {
    v.parameter("scale", scale);
    v.buffer("f64", f64);
    v.buffer("bf16", bf16);
    v.buffer("i64", i64);
    v.buffer("still", still);
  }
};

// Sums that another order would make another number.
TEST(Buffers, BecomeTheMeanInTheTree) {
  constexpr double large = 1e20;
  const std::vector<double> values{3, large, -large, 5};
  EXPECT_NE(((values[0] + values[1]) + values[2]) + values[3],
            (values[0] + values[1]) + (values[2] + values[3]));
  for (const int size : {1, 2, 3, 4}) {
    agreed(size, 4, [&](Communicator& comm) {
      Counter net;
      DataParallel parallel(net, comm);
      for (int step = 1; step <= 2; ++step) {
        for (const int v : parallel.micro_batches()) {
          parallel.backward(net(full({}, values[static_cast<std::size_t>(v)])));
        }
        const double mean = ((values[0] + values[1]) + (values[2] + values[3])) / 4;
        EXPECT_EQ(net.f64.to_vector<double>(), std::vector<double>(2, mean)) << size;
        EXPECT_EQ(net.i64.item<double>(), step) << size;
        EXPECT_EQ(net.bf16.item<double>(), mean) << size;
        EXPECT_EQ(net.still.to_vector<float>(), std::vector<float>(3, 1));
      }
      return fingerprint(net.state_dict());
    });
  }
}

}  // namespace
}  // namespace tutti::test
