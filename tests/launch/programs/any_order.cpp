// Reductions in the engine's own order, of values whose sums are exact in any; prints what is wrong.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "tests/comm/cases.h"
#include "tutti/comm/world.h"

namespace {

using namespace tutti;
using namespace tutti::test;

constexpr comm::Options any{.order = ReduceOrder::any};

template <typename T>
bool reductions(World& world, ReduceOp op, std::size_t count) {
  const auto ranks = static_cast<std::size_t>(world.size());
  Elements<T> all(count), block(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = reduced<T>(op, world.size(), i);
  for (std::size_t i = 0; i < count; ++i)
    block[i] = reduced<T>(op, world.size(), i + count * static_cast<std::size_t>(world.rank()));
  auto in = input_of<T>(world.rank(), count), wide = input_of<T>(world.rank(), count * ranks);
  Elements<T> out(count), scattered(count);
  auto first = world.all_reduce_async(view<T>(in), view<T>(out), op, any);
  auto second = world.reduce_scatter_async(view<T>(wide), view<T>(scattered), op, any);
  second.wait();
  first.wait();
  world.all_reduce(view<T>(in), op, any);
  return out == all && in == all && scattered == block;
}

bool keeps_nan(World& world, ReduceOp op) {
  std::vector<float> data(5000, world.rank() == 0 ? std::numeric_limits<float>::quiet_NaN() : 1.0f);
  world.all_reduce(data, op, any);
  return std::isnan(data.front()) && std::isnan(data.back());
}

}  // namespace

int main(int argc, char** argv) {
  World world(argc, argv);
  int wrong = 0;
  const auto check = [&](bool right, const std::string& what) {
    if (right) return;
    fmt::print("rank {} of {}: {}\n", world.rank(), world.size(), what);
    ++wrong;
  };
  for (const DType dtype : all_dtypes) {
    for (const ReduceOp op : {ReduceOp::sum, ReduceOp::avg, ReduceOp::min, ReduceOp::max, ReduceOp::prod}) {
      if (op == ReduceOp::avg && !is_floating_point(dtype)) continue;
      for (const std::size_t count : {0, 3, 5003, 100'003}) {
        visit_dtype(dtype, [&]<typename T>() {
          check(reductions<T>(world, op, count),
                fmt::format("{}[{}] {}", name_of(dtype), count, name_of(op)));
        });
      }
    }
  }
  check(keeps_nan(world, ReduceOp::min) && keeps_nan(world, ReduceOp::max), "a NaN was lost");
  return wrong == 0 ? 0 : 1;
}
