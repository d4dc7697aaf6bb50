// Collectives of tensors on GPUs over the back ends of the CPU.
#include <fmt/format.h>

#include <functional>

#include "tests/cuda/gpu_ranks.h"
#include "tests/support/message_of.h"
#include "tutti/tensor/fingerprint.h"

namespace tutti::test {
namespace {

constexpr ReduceOp all_ops[] = {ReduceOp::sum, ReduceOp::avg, ReduceOp::min, ReduceOp::max, ReduceOp::prod};

using Call = std::function<void(Communicator& comm, const Tensor& in, const Tensor& out)>;

std::string bits(const Tensor& x) { return fingerprint({{"", x}}); }

// What `call` leaves on a GPU is, byte for byte, what it leaves on the CPU, and its input is left alone.
void expect_same(Communicator& comm, const char* name, DType dtype, std::int64_t in_count,
                 std::int64_t out_count, const Call& call) {
  const Tensor in = numbers({in_count}, dtype, comm.rank());
  const Tensor here = zeros({out_count}, {.dtype = dtype}), there = here.to(gpu_of(comm));
  const Tensor sent = in.to(gpu_of(comm));
  call(comm, in, here);
  call(comm, sent, there);
  EXPECT_EQ(bits(there), bits(here)) << name << " of " << name_of(dtype) << "[" << in_count << "], "
                                     << comm.size() << " ranks";
  EXPECT_EQ(bits(sent), bits(in)) << name << "'s input";
}

void expect_same_reductions(Communicator& comm, DType dtype, std::int64_t count, ReduceOp op) {
  expect_same(comm, "all_reduce", dtype, count, count,
              [&](auto& c, const Tensor& in, const Tensor& out) { c.all_reduce(in, out, op); });
  expect_same(comm, "all_reduce in place", dtype, count, count, [&](auto& c, const Tensor& in, Tensor out) {
    out.copy_(in);
    c.all_reduce(out, op);
  });
  expect_same(comm, "reduce_scatter", dtype, count * comm.size(), count,
              [&](auto& c, const Tensor& in, const Tensor& out) { c.reduce_scatter(in, out, op); });
}

void expect_same_moves(Communicator& comm, DType dtype, std::int64_t count) {
  const std::int64_t all = count * comm.size();
  const int next = (comm.rank() + 1) % comm.size(), last = (comm.rank() + comm.size() - 1) % comm.size();
  expect_same(comm, "all_gather", dtype, count, all,
              [](auto& c, const Tensor& in, const Tensor& out) { c.all_gather(in, out); });
  expect_same(comm, "all_gather in place", dtype, count, all,
              [&](auto& c, const Tensor& in, const Tensor& out) {
                out.slice(0, c.rank() * count, (c.rank() + 1) * count).copy_(in);
                c.all_gather(out);
              });
  expect_same(comm, "all_to_all", dtype, all, all,
              [](auto& c, const Tensor& in, const Tensor& out) { c.all_to_all(in, out); });
  for (int root = 0; root < comm.size(); root += 2) {
    expect_same(comm, "broadcast", dtype, count, count, [&](auto& c, const Tensor& in, Tensor out) {
      out.copy_(in);
      c.broadcast(out, root);
    });
    expect_same(comm, "gather", dtype, count, comm.rank() == root ? all : 0,
                [&](auto& c, const Tensor& in, const Tensor& out) { c.gather(in, out, root); });
    expect_same(comm, "scatter", dtype, comm.rank() == root ? all : 0, count,
                [&](auto& c, const Tensor& in, const Tensor& out) { c.scatter(in, out, root); });
  }
  expect_same(comm, "send_recv", dtype, count, count,
              [&](auto& c, const Tensor& in, const Tensor& out) { c.send_recv(in, next, out, last); });
  if (comm.size() == 1) return;
  expect_same(comm, "send and recv", dtype, count, count, [&](auto& c, const Tensor& in, const Tensor& out) {
    if (c.rank() == 0) c.send(in, next);
    c.recv(out, last);
    if (c.rank() != 0) c.send(in, next);
  });
}

TEST_F(GpuTest, CollectivesOfThreadsGiveTheBitsOfTheCpu) {
  for (const int ranks : {2, 3}) {
    on_ranks(ranks, [](Communicator& comm) {
      for (const DType dtype : all_dtypes) {
        for (const std::int64_t count : {0, 1003}) {
          for (const ReduceOp op : all_ops) {
            if (count == 0 && (op != ReduceOp::sum || dtype != DType::f32)) continue;
            if (op != ReduceOp::avg || is_floating_point(dtype))
              expect_same_reductions(comm, dtype, count, op);
          }
          expect_same_moves(comm, dtype, count);
        }
      }
    });
  }
}

TEST_F(GpuTest, CollectivesOfOneRankGiveTheBitsOfTheCpu) {
  Communicator alone;
  for (const DType dtype : all_dtypes) {
    expect_same_reductions(alone, dtype, 100, ReduceOp::sum);
    expect_same_moves(alone, dtype, 100);
  }
}

// More than goes through the host's memory at once.
TEST_F(GpuTest, LargeCollectivesGoInPieces) {
  on_ranks(2, [](Communicator& comm) {
    expect_same_reductions(comm, DType::f64, (1 << 19) + 5, ReduceOp::sum);
    expect_same_moves(comm, DType::f64, (1 << 18) + 3);
  });
}

TEST_F(GpuTest, PartsOfATensorAreLeftAlone) {
  on_ranks(2, [](Communicator& comm) {
    const Tensor all = full({100}, comm.rank(), {.device = gpu_of(comm)});
    comm.all_reduce(all.slice(0, 3, 50));
    comm.all_gather(all.slice(0, 60, 62));
    const Tensor expected = full({100}, comm.rank());
    expected.slice(0, 3, 50).fill_(1);
    expected.slice(0, 60, 61).fill_(0);
    expected.slice(0, 61, 62).fill_(1);
    expect_close(all, expected, 0);
  });
}

TEST_F(GpuTest, WorksMayBeWaitedForInAnyOrder) {
  on_ranks(2, [](Communicator& comm) {
    std::vector<Tensor> tensors;
    std::vector<comm::Work> works;
    for (int i = 0; i < 6; ++i) {
      tensors.push_back(full({1000 * i}, i, {.device = gpu_of(comm)}));
      works.push_back(comm.all_reduce_async(tensors.back()));
    }
    works[3].wait();
    expect_close(tensors[3], full({3000}, 6), 0);
    works[5].wait_on(nullptr);
    EXPECT_TRUE(works[5].done());
    expect_close(tensors[5].mul_(2), full({5000}, 20), 0);
    comm.all_reduce(tensors[4]);  // behind what was started
    expect_close(tensors[4], full({4000}, 16), 0);
  });
}

// Whichever GPU is the thread's current one.
TEST_F(GpuTest, CommunicatorsGiveMemoryOfGpus) {
  on_ranks(2, [](Communicator& comm) {
    const Device device = gpu_of(comm);
    const auto memory = comm.allocate(4000, device);
    Tensor x = from_buffer({memory.get(), 1000, DType::f32, device}, {1000}, memory);
    x.fill_(comm.rank() + 1);
    comm.all_reduce(x);
    expect_close(x, full({1000}, 3), 0);
  });
}

TEST_F(GpuTest, RanksMayDifferInWhereTheirBuffersAre) {
  on_ranks(2, [](Communicator& comm) {
    const Tensor x =
        full({1000}, comm.rank() + 1, {.device = comm.rank() == 0 ? gpu_of(comm) : Device::cpu()});
    comm.all_reduce(x);
    expect_close(x, full({1000}, 3), 0);
  });
}

TEST_F(GpuTest, CollectivesThatDifferAreNamed) {
  using ::testing::HasSubstr;
  using ::testing::StartsWith;
  on_ranks(2, [](Communicator& comm) {
    const Tensor x = zeros({2 << 20 | comm.rank()}, {.device = gpu_of(comm)});
    // Two pieces, and three.
    EXPECT_THAT(
        message_of([&] { comm.all_reduce(x); }),
        StartsWith("all_reduce #1: rank 1 called all_reduce(f32[1048576] in 3 pieces, sum), rank 0 called "
                   "all_reduce(f32[1048576] in 2 pieces, sum)"));
    EXPECT_THAT(message_of([&] { comm.barrier(); }), HasSubstr("in 3 pieces"));
    EXPECT_EQ(comm.flight_record()[0].state, comm::FlightRecord::State::failed);
    EXPECT_THAT(message_of([&] { comm.all_reduce(x, zeros({2 << 20 | comm.rank()})); }),
                HasSubstr("`out` is on cpu; they must be on one device"));
  });
}

TEST_F(GpuTest, AnAbortedGroupReducesNothing) {
  Communicator alone;
  const Tensor x = ones({3}, {.device = gpu});
  alone.abort("enough");
  EXPECT_EQ(message_of([&] { alone.all_reduce(x); }), "all_reduce #1: the group was aborted: enough");
}

}  // namespace
}  // namespace tutti::test
