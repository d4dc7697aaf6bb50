// Which buckets there are, in which order they travel, and what a step tells of itself.
#include <gmock/gmock.h>

#include <string_view>

#include "lib/parallel/layout.h"
#include "lib/parallel/tree_schedule.h"
#include "tests/parallel/training.h"
#include "tutti/core/tree.h"

namespace tutti::test {
namespace {

using testing::ElementsAre;

// The gradients come in the order b, c, a.
struct Sums : nn::Module {
  Tensor a = ones({16}).set_requires_grad(), b = ones({32}).set_requires_grad(),
         c = ones({64}).set_requires_grad();

  Tensor forward(const Tensor& x) override {
    Tensor y = sum(a * x);
    y = sum(c * y);
    return sum(b * y);
  }
  void visit(nn::MemberVisitor& v) override {
    v.parameter("a", a);
    v.parameter("b", b);
    v.parameter("c", c);
  }
};

std::vector<std::uint64_t> reduced(const Communicator& comm) {
  std::vector<std::uint64_t> bytes;
  for (const auto& record : comm.flight_record()) {
    if (std::string_view(record.collective) == "all_reduce" && record.dtype == DType::f32) {
      bytes.push_back(record.bytes);
    }
  }
  return bytes;
}

TEST(Buckets, TakeTheOrderOfTheFirstBackward) {
  agreed(2, 4, [](Communicator& comm) {
    Sums net;
    DataParallel parallel(net, comm, {.first_bucket_bytes = 1, .bucket_bytes = 1});
    for (int step = 0; step < 3; ++step) {
      for (const int v : parallel.micro_batches()) parallel.backward(net(full({16}, 1 + v)) * 1e-6);
    }
    EXPECT_THAT(reduced(comm), ElementsAre(256, 128, 64, 128, 256, 64, 128, 256, 64));
    return "";
  });
}

TEST(Stats, TellOfTheSteps) {
  for (const int size : {1, 2}) {
    agreed(size, 2, [](Communicator& comm) {
      Sums net;
      DataParallel parallel(net, comm, {.first_bucket_bytes = 200, .bucket_bytes = 400});
      EXPECT_EQ(parallel.stats().steps, 0);
      for (int step = 0; step < 3; ++step) {
        for ([[maybe_unused]] const int v : parallel.micro_batches())
          parallel.backward(net(ones({16})) * 1e-6);
      }
      const auto stats = parallel.stats();
      EXPECT_EQ(stats.steps, 3);
      EXPECT_EQ(stats.buckets, 2u);  // c; b and a: then, in the order of their gradients, b; c and a
      EXPECT_EQ(stats.bytes, 4u * (16 + 32 + 64));
      EXPECT_GT(stats.backward.count(), 0);
      EXPECT_LE(stats.waiting, stats.backward);
      return "";
    });
  }
}

// Every leaf where the tree has it, and every sum.
TEST(TreeSchedule, BuildsTheTree) {
  const auto tree = [](auto& self, std::size_t first, std::size_t count) -> std::string {
    if (count == 1) return std::to_string(first);
    const std::size_t left = left_leaves(count);
    return "(" + self(self, first, left) + "+" + self(self, first + left, count - left) + ")";
  };
  for (std::size_t leaves = 1; leaves <= 40; ++leaves) {
    const parallel::TreeSchedule schedule(leaves);
    std::vector<std::string> stack;
    for (std::size_t leaf = 0; leaf < leaves; ++leaf) {
      ASSERT_EQ(schedule.level(leaf), stack.size());
      stack.push_back(std::to_string(leaf));
      for (std::size_t i = 0; i < schedule.merges(leaf); ++i) {
        const std::string top = stack.back();
        stack.pop_back();
        stack.back() = "(" + stack.back() + "+" + top + ")";
      }
    }
    EXPECT_THAT(stack, ElementsAre(tree(tree, 0, leaves)));
  }
}

// Of tensors of many sizes: none overlap, shares begin at chunks of the sums, and little is wasted.
TEST(Layout, GivesEachRankWholeChunks) {
  constexpr std::int64_t chunk = 1024;
  Generator rng(1);
  for (int round = 0; round < 200; ++round) {
    NamedTensors tensors;
    std::int64_t sum = 0;
    const Tensor sizes = randint(0, 14, {1 + round % 9}, rng);
    for (const auto size : sizes.to_vector<std::int64_t>()) {
      tensors.push_back({"", zeros({size * size * size * size / 4 + size})});
      sum += tensors.back().tensor.numel();
    }
    for (const int shares : {1, 2, 3, 4, 7, 8}) {
      const parallel::Layout layout(tensors, shares);
      EXPECT_EQ(layout.total, layout.share * shares);
      EXPECT_LE(layout.total, sum + 16 * static_cast<std::int64_t>(tensors.size()) + shares * 2 * chunk);
      std::int64_t end = 0;
      for (std::size_t i = 0; i < tensors.size(); ++i) {
        const std::int64_t begin = layout.offsets[i], count = tensors[i].tensor.numel();
        EXPECT_GE(begin, end);
        EXPECT_EQ(begin % 16, 0);
        end = begin + count;
        for (std::int64_t share = 0; share < layout.total; share += std::max<std::int64_t>(1, layout.share)) {
          if (share > begin && share < end) {
            EXPECT_EQ((share - begin) % chunk, 0);
          }
        }
      }
      EXPECT_LE(end, layout.total);
    }
  }
}

}  // namespace
}  // namespace tutti::test
