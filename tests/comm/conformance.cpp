#include "conformance.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <span>

#include "cases.h"
#include "tree_sum.h"

namespace tutti::test {
namespace {

constexpr ReduceOp all_ops[] = {ReduceOp::sum, ReduceOp::avg, ReduceOp::min, ReduceOp::max, ReduceOp::prod};

class Suite {
 public:
  explicit Suite(Communicator& comm) : comm_(comm) {}

  std::vector<std::string> run(const ConformanceOptions& options) {
    for (const DType dtype : all_dtypes) {
      for (const std::size_t count : {0, 1, 7, 5003}) {
        visit_dtype(dtype, [&]<typename T>() { each_collective<T>(count, all_ops); });
      }
    }
    each_collective<float>(options.large, std::span(all_ops).first(1));
    each_collective<std::uint8_t>(3 * options.large, std::span(all_ops).first(1));
    tree_sums(1009);
    tree_sums(options.large);
    logical_ranks();
    allocated(options.large);
    groups();
    return std::move(failures_);
  }

 private:
  template <typename T>
  void each_collective(std::size_t count, std::span<const ReduceOp> ops) {
    what_ = fmt::format("{}[{}]", name_of(dtype_of<T>), count);
    for (const ReduceOp op : ops) {
      if (op == ReduceOp::avg && !is_floating_point(dtype_of<T>)) continue;
      reductions<T>(op, count);
    }
    gathers<T>(count);
    exchanges<T>(count);
    // Every root, but not with every count.
    if (count < 10) {
      for (int root = 0; root < size(); ++root) rooted<T>(root, count);
    }
    rooted<T>(size() / 2, count);
    messages<T>(count);
  }

  template <typename T>
  void reductions(ReduceOp op, std::size_t count) {
    Elements<T> expected(count);
    for (std::size_t i = 0; i < count; ++i) expected[i] = reduced<T>(op, size(), i);
    auto in = input_of<T>(rank(), count);
    Elements<T> out(count);
    comm_.all_reduce(view<T>(in), view<T>(out), op);
    expect<T>(fmt::format("all_reduce {}", name_of(op)), out, expected);
    comm_.all_reduce(view<T>(in), op);
    expect<T>(fmt::format("all_reduce {} in place", name_of(op)), in, expected);

    const std::size_t total = count * static_cast<std::size_t>(size());
    const std::size_t first = count * static_cast<std::size_t>(rank());
    in = input_of<T>(rank(), total);
    comm_.reduce_scatter(view<T>(in), view<T>(out), op);
    for (std::size_t i = 0; i < count; ++i) expected[i] = reduced<T>(op, size(), first + i);
    expect<T>(fmt::format("reduce_scatter {}", name_of(op)), out, expected);
    expect<T>("reduce_scatter's input", in, input_of<T>(rank(), total));
  }

  template <typename T>
  void gathers(std::size_t count) {
    Elements<T> expected;
    for (int peer = 0; peer < size(); ++peer) {
      const auto part = input_of<T>(peer, count);
      expected.insert(expected.end(), part.begin(), part.end());
    }
    auto in = input_of<T>(rank(), count);
    Elements<T> out(expected.size());
    comm_.all_gather(view<T>(in), view<T>(out));
    expect<T>("all_gather", out, expected);

    Elements<T> buffer(expected.size());
    std::copy(in.begin(), in.end(),
              buffer.begin() + static_cast<std::ptrdiff_t>(count * static_cast<std::size_t>(rank())));
    comm_.all_gather(view<T>(buffer));
    expect<T>("all_gather in place", buffer, expected);
  }

  template <typename T>
  void exchanges(std::size_t count) {
    const auto ranks = static_cast<std::size_t>(size());
    Elements<T> expected;
    for (int peer = 0; peer < size(); ++peer) {
      const auto part = input_of<T>(peer, count, count * static_cast<std::size_t>(rank()));
      expected.insert(expected.end(), part.begin(), part.end());
    }
    auto in = input_of<T>(rank(), count * ranks);
    Elements<T> out(count * ranks);
    comm_.all_to_all(view<T>(in), view<T>(out));
    expect<T>("all_to_all", out, expected);
  }

  template <typename T>
  void rooted(int root, std::size_t count) {
    const auto ranks = static_cast<std::size_t>(size());
    auto buffer = input_of<T>(rank(), count);
    comm_.broadcast(view<T>(buffer), root);
    expect<T>(fmt::format("broadcast from {}", root), buffer, input_of<T>(root, count));

    auto mine = input_of<T>(rank(), count);
    Elements<T> all(rank() == root ? count * ranks : 0);
    comm_.gather(view<T>(mine), view<T>(all), root);
    Elements<T> expected;
    for (int peer = 0; rank() == root && peer < size(); ++peer) {
      const auto part = input_of<T>(peer, count);
      expected.insert(expected.end(), part.begin(), part.end());
    }
    expect<T>(fmt::format("gather to {}", root), all, expected);

    Elements<T> back(count);
    comm_.scatter(view<T>(all), view<T>(back), root);
    expect<T>(fmt::format("scatter from {}", root), back, mine);
  }

  // Once around, and two messages in a row, which must not overtake each other.
  template <typename T>
  void messages(std::size_t count) {
    if (size() == 1) return;
    const int next = (rank() + 1) % size(), previous = (rank() + size() - 1) % size();
    auto first = input_of<T>(rank(), count);
    auto second = input_of<T>(rank(), count / 2, 100);
    Elements<T> from_first(count), from_second(count / 2);
    const auto send = [&] {
      comm_.send(view<T>(first), next);
      comm_.send(view<T>(second), next);
    };
    const auto recv = [&] {
      comm_.recv(view<T>(from_first), previous);
      comm_.recv(view<T>(from_second), previous);
    };
    if (rank() == 0)
      send(), recv();
    else
      recv(), send();
    expect<T>("send and recv", from_first, input_of<T>(previous, count));
    expect<T>("a second send and recv", from_second, input_of<T>(previous, count / 2, 100));
  }

  // Sums whose bits depend on the order: they must be those of the tree.
  void tree_sums(std::size_t count) {
    what_ = fmt::format("tree of {}", count);
    tree_sum_of<float>(count);
    tree_sum_of<double>(count);
    tree_sum_of<bfloat16>(count);
    tree_sum_of<float16>(count);
  }

  template <typename T>
  void tree_sum_of(std::size_t count) {
    for (const ReduceOp op : {ReduceOp::sum, ReduceOp::avg}) {
      Elements<T> expected(count), buffer(count), out(count);
      for (std::size_t i = 0; i < count; ++i) expected[i] = tree_sum<T>(op, size(), i);
      for (std::size_t i = 0; i < count; ++i) buffer[i] = rough_value<T>(rank(), i);
      comm_.all_reduce(view<T>(buffer), view<T>(out), op);
      expect<T>(fmt::format("{} all_reduce {}", name_of(dtype_of<T>), name_of(op)), out, expected);

      const std::size_t share = count / static_cast<std::size_t>(size());
      const std::size_t first = share * static_cast<std::size_t>(rank());
      BufferView in = view<T>(buffer);
      in.count = share * static_cast<std::size_t>(size());
      out.resize(share);
      comm_.reduce_scatter(in, view<T>(out), op);
      const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(first);
      expect<T>(fmt::format("{} reduce_scatter {}", name_of(dtype_of<T>), name_of(op)), out,
                Elements<T>(begin, begin + static_cast<std::ptrdiff_t>(share)));
    }
  }

  // A mean over logical ranks is the same in any world.
  void logical_ranks() {
    const int before = comm_.logical_ranks().count();
    for (const int count : {16, 23}) {
      what_ = fmt::format("{} logical ranks", count);
      comm_.set_logical_ranks(count);
      for (std::size_t i = 0; i < 10; ++i) {
        std::vector<double> values;
        for (const int v : comm_.logical_ranks()) values.push_back(rough_value<double>(v, i));
        if (tree_mean(values, comm_) != tree_sum<double>(ReduceOp::sum, count, i) / count)
          fail("tree_mean", i);
      }
    }
    comm_.set_logical_ranks(before);
  }

  // The same collectives on memory that the back end may share.
  void allocated(std::size_t count) {
    what_ = fmt::format("allocated f32[{}]", count);
    const auto ranks = static_cast<std::size_t>(size());
    const auto memory = comm_.allocate(2 * count * ranks * sizeof(float));
    const std::span<float> in(static_cast<float*>(memory.get()), count * ranks);
    const std::span<float> out(in.data() + in.size(), in.size());
    const auto fill = [&] {
      for (std::size_t i = 0; i < in.size(); ++i) in[i] = value_of<float>(rank(), i);
    };
    const auto check = [&](const char* name, std::span<const float> got, auto expected) {
      for (std::size_t i = 0; i < got.size(); ++i) {
        if (got[i] != expected(i)) return fail(name, i);
      }
    };
    const auto sum = [&](std::size_t i) { return reduced<float>(ReduceOp::sum, size(), i); };
    fill();
    comm_.all_reduce(in, out);
    check("all_reduce", out, sum);
    comm_.all_reduce(in);
    check("all_reduce in place", in, sum);
    fill();
    comm_.reduce_scatter(in, out.first(count));
    check("reduce_scatter", out.first(count),
          [&](std::size_t i) { return sum(i + count * static_cast<std::size_t>(rank())); });
    comm_.all_gather(in.first(count), out);
    check("all_gather", out,
          [&](std::size_t i) { return value_of<float>(static_cast<int>(i / count), i % count); });
    comm_.all_to_all(in, out);
    check("all_to_all", out, [&](std::size_t i) {
      return value_of<float>(static_cast<int>(i / count),
                             i % count + count * static_cast<std::size_t>(rank()));
    });
    comm_.broadcast(in, size() - 1);
    check("broadcast", in, [&](std::size_t i) { return value_of<float>(size() - 1, i); });
    fill();
    comm_.gather(in.first(count), out, 0);
    if (rank() == 0) {
      check("gather", out,
            [&](std::size_t i) { return value_of<float>(static_cast<int>(i / count), i % count); });
    }
    comm_.scatter(in, out.first(count), 0);
    check("scatter", out.first(count),
          [&](std::size_t i) { return value_of<float>(0, i + count * static_cast<std::size_t>(rank())); });
  }

  void groups() {
    what_ = "split";
    // Even and odd ranks, each in reverse order; then each group by halves.
    Communicator parity = comm_.split(rank() % 2, -rank());
    const int members = (size() + 1 - rank() % 2) / 2;
    if (parity.size() != members) fail("size", static_cast<std::size_t>(parity.size()));
    if (parity.rank() != members - 1 - rank() / 2) fail("rank", static_cast<std::size_t>(parity.rank()));
    std::vector<std::int32_t> order(static_cast<std::size_t>(members));
    parity.all_gather(std::vector<std::int32_t>{rank()}, order);
    for (int i = 0; i < members; ++i) {
      if (order[static_cast<std::size_t>(i)] != rank() % 2 + 2 * (members - 1 - i))
        fail("order", static_cast<std::size_t>(i));
    }
    Communicator alone = parity.split(parity.rank());
    if (alone.size() != 1) fail("a second split", static_cast<std::size_t>(alone.size()));
    alone.barrier();
    parity.barrier();
    comm_.barrier();
  }

  template <typename T>
  void expect(const std::string& name, const Elements<T>& got, const Elements<T>& expected) {
    if (got.size() != expected.size()) return fail(name, 0);
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (std::memcmp(&got[i], &expected[i], sizeof(got[i])) != 0 && !(got[i] == expected[i]))
        return fail(name, i);
    }
  }

  void fail(const std::string& name, std::size_t i) {
    failures_.push_back(fmt::format("{} {} on rank {} of {} ({}): wrong at {}", what_, name, rank(), size(),
                                    comm_.backend(), i));
  }

  int rank() const { return comm_.rank(); }
  int size() const { return comm_.size(); }

  Communicator& comm_;
  std::string what_;
  std::vector<std::string> failures_;
};

}  // namespace

std::vector<std::string> run_conformance(Communicator& comm, const ConformanceOptions& options) {
  return Suite(comm).run(options);
}

}  // namespace tutti::test
