// What the communicator refuses before anything is sent.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "ranks.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"
#include "tutti/core/threads.h"

namespace tutti::test {
namespace {

using ::testing::HasSubstr;

// One rank of three is enough: the others need not take part.
class ArgumentErrors : public ::testing::Test {
 protected:
  template <typename E, typename F>
  void refuses(F&& call, const char* text) {
    try {
      call();
      ADD_FAILURE() << "no error, expected: " << text;
    } catch (const E& error) {
      EXPECT_THAT(error.what(), HasSubstr(text));
    }
  }

  std::vector<Communicator> ranks_ = World::threads(3);
  Communicator& comm_ = ranks_[1];
  std::vector<float> six_ = std::vector<float>(6);
  std::vector<float> two_ = std::vector<float>(2);
  std::vector<double> doubles_ = std::vector<double>(6);
  std::vector<std::int32_t> ints_ = std::vector<std::int32_t>(6);
};

TEST_F(ArgumentErrors, Sizes) {
  refuses<ShapeError>([&] { comm_.all_reduce(six_, two_); }, "all_reduce: `in` has 6 elements, `out` has 2");
  refuses<ShapeError>([&] { comm_.reduce_scatter(two_, six_); },
                      "reduce_scatter: `in` must hold 3 (ranks) times the 6");
  refuses<ShapeError>([&] { comm_.all_gather(six_, two_); },
                      "all_gather: `out` must hold 3 (ranks) times the 6");
  refuses<ShapeError>([&] { comm_.all_gather(two_); },
                      "all_gather: `buffer` must be divisible by the 3 ranks");
  refuses<ShapeError>(
      [&] {
        std::vector<float> other(2);
        comm_.all_to_all(two_, other);
      },
      "divisible by the 3 ranks");
  refuses<ShapeError>([&] { comm_.gather(six_, two_, 1); }, "gather: `out` must hold 3 (ranks) times the 6");
  refuses<ShapeError>([&] { comm_.scatter(two_, six_, 1); }, "scatter: `in` must hold 3 (ranks) times the 6");
}

TEST_F(ArgumentErrors, Types) {
  refuses<DTypeError>([&] { comm_.all_reduce(six_, doubles_); }, "all_reduce: `in` is f32, `out` is f64");
  refuses<DTypeError>([&] { comm_.all_reduce(ints_, ReduceOp::avg); },
                      "avg needs floating point, the elements are i32");
}

TEST_F(ArgumentErrors, Roots) {
  refuses<ShapeError>([&] { comm_.broadcast(six_, 3); }, "broadcast: root must be in [0, 3), it is 3");
  refuses<ShapeError>([&] { comm_.broadcast(six_, -1); }, "it is -1");
  refuses<ShapeError>([&] { comm_.send(six_, 3); }, "send: to must be in [0, 3)");
  refuses<ShapeError>([&] { comm_.send(six_, 1); }, "`to` must be another rank");
  refuses<ShapeError>([&] { comm_.recv(six_, 1); }, "`from` must be another rank");
}

TEST_F(ArgumentErrors, Memory) {
  refuses<ShapeError>([&] { comm_.all_reduce(std::span(six_).first(4), std::span(six_).last(4)); },
                      "must not overlap");
  refuses<ShapeError>([&] { comm_.all_to_all(six_, six_); }, "must not overlap");
  refuses<ShapeError>([&] { comm_.all_reduce(BufferView(nullptr, 2, DType::f32)); },
                      "`in` is null, but has 2 elements");
}

TEST_F(ArgumentErrors, ARefusedCallDoesNotCount) {
  const auto errors = on_threads(2, [](Communicator& comm) -> std::string {
    std::vector<float> data(4);
    EXPECT_THROW(comm.broadcast(data, 7 + comm.rank()), ShapeError);
    if (comm.rank() == 0) {
      EXPECT_THROW(comm.broadcast(data, -1), ShapeError);
    }
    comm.all_reduce(data);
    return "";
  });
  EXPECT_EQ(joined(errors), "\n\n");
}

TEST_F(ArgumentErrors, SizesOfAGroup) {
  EXPECT_THROW(World::threads(0), ConfigError);
  EXPECT_GE(num_threads(), 1);
  EXPECT_THROW(World::threads(-1), ConfigError);
}

}  // namespace
}  // namespace tutti::test
