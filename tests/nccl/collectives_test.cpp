// What NCCL's collectives leave on a GPU is, byte for byte, what the CPU's leave there.
#include <cstring>

#include "tests/comm/tree_sum.h"
#include "tests/nccl/gpu_ranks.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using Bytes = std::vector<std::byte>;

Bytes input(DType dtype, int rank, std::size_t count) {
  Bytes bytes(count * size_of(dtype));
  visit_dtype(dtype, [&]<typename T>() {
    for (std::size_t i = 0; i < count; ++i) {
      const float rough = tutti::test::rough_value<float>(rank, i);
      T value;
      if constexpr (std::is_same_v<T, bool>)
        value = rough > 0;
      else if constexpr (std::is_integral_v<T>)
        value = static_cast<T>(static_cast<std::int64_t>(rough * 100));
      else
        value = tutti::test::rough_value<T>(rank, i);
      std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
    }
  });
  return bytes;
}

void copy(BufferView in, BufferView out) {
  if (in.count > 0) std::memcpy(out.data, in.data, in.bytes());
}

BufferView view(Bytes& bytes, DType dtype) { return {bytes.data(), bytes.size() / size_of(dtype), dtype}; }

// Runs `collective(comm, in, out)` on both devices.
template <typename Collective>
void expect_same(Communicator& comm, DType dtype, std::size_t in_count, std::size_t out_count,
                 Collective collective) {
  Bytes in = input(dtype, comm.rank(), in_count);
  Bytes here(out_count * size_of(dtype)), there = here;
  collective(comm, view(in, dtype), view(here, dtype));
  collective(comm, on_gpu(comm, view(in, dtype)), on_gpu(comm, view(there, dtype)));
  EXPECT_TRUE(here == there) << comm.size() << " ranks, " << in_count << " x " << name_of(dtype);
}

void expect_same_reductions(Communicator& comm, DType dtype, std::size_t count, ReduceOp op) {
  expect_same(comm, dtype, count, count,
              [&](auto& c, BufferView in, BufferView out) { c.all_reduce(in, out, op); });
  expect_same(comm, dtype, count, count, [&](auto& c, BufferView in, BufferView out) {
    copy(in, out);
    c.all_reduce(out, op);
  });
  const auto ranks = static_cast<std::size_t>(comm.size());
  expect_same(comm, dtype, count * ranks, count,
              [&](auto& c, BufferView in, BufferView out) { c.reduce_scatter(in, out, op); });
}

TEST_F(Nccl, ReducesFloatsInTreeOrder) {
  fake::state().reductions = 0;
  for (const int ranks : {2, 3, 4, 5, 7}) {
    on_whole_gpus(ranks, [](Communicator& comm) {
      for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
        for (const std::size_t count :
             {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{50'021}}) {
          expect_same_reductions(comm, dtype, count, ReduceOp::sum);
          expect_same_reductions(comm, dtype, count, ReduceOp::avg);
        }
        expect_same_reductions(comm, dtype, 1000, ReduceOp::min);
        expect_same_reductions(comm, dtype, 1000, ReduceOp::max);
      }
    });
  }
  EXPECT_EQ(fake::state().reductions, 0);
}

// More than the workspace holds at once: 17 million floats in slices of 8 million.
TEST_F(Nccl, ReducesWhatIsLargerThanTheWorkspace) {
  on_whole_gpus(2, [](Communicator& comm) {
    const std::size_t count = (std::size_t{17} << 20) + 3;
    std::vector<float> values(count, static_cast<float>(comm.rank() + 1));
    for (std::size_t i = 0; i < count; i += 4099) values[i] += static_cast<float>(i % 1024);
    const auto mine = values;
    comm.all_reduce(on_gpu(comm, values));
    std::size_t wrong = 0;
    const float both = comm.rank() == 0 ? 1.0f : -1.0f;  // what the other rank's differ by
    for (std::size_t i = 0; i < count; ++i) wrong += values[i] != mine[i] + (mine[i] + both);
    EXPECT_EQ(wrong, 0u);
  });
}

TEST_F(Nccl, LeavesIntegersToNccl) {
  fake::state().reductions = 0;
  on_whole_gpus(3, [](Communicator& comm) {
    for (const DType dtype : {DType::i32, DType::i64, DType::u8, DType::bool_}) {
      for (const ReduceOp op : {ReduceOp::sum, ReduceOp::min, ReduceOp::max, ReduceOp::prod}) {
        expect_same_reductions(comm, dtype, 1000, op);
      }
    }
  });
  EXPECT_EQ(fake::state().reductions, 3 * 3 * 4 * 4);
}

TEST_F(Nccl, LeavesFloatsToNcclInAnyOrder) {
  fake::state().reductions = 0;
  on_whole_gpus(4, [](Communicator& comm) {
    std::vector<float> values(100, static_cast<float>(comm.rank()));
    comm.all_reduce(on_gpu(comm, values), ReduceOp::sum, {.order = ReduceOrder::any});
    EXPECT_EQ(values, std::vector<float>(100, 6));
  });
  EXPECT_EQ(fake::state().reductions, 4);
}

TEST_F(Nccl, OneRankKeepsItsOwn) {
  on_whole_gpus(1, [](Communicator& comm) {
    for (const DType dtype : all_dtypes) expect_same_reductions(comm, dtype, 1000, ReduceOp::sum);
  });
}

TEST_F(Nccl, MovesWhatTheCpuMoves) {
  on_whole_gpus(3, [](Communicator& comm) {
    const auto ranks = static_cast<std::size_t>(comm.size());
    for (const DType dtype : {DType::f32, DType::bf16, DType::bool_}) {
      for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{1000}}) {
        expect_same(comm, dtype, count, count * ranks,
                    [](auto& c, BufferView in, BufferView out) { c.all_gather(in, out); });
        expect_same(comm, dtype, count * ranks, count * ranks,
                    [](auto& c, BufferView in, BufferView out) { c.all_to_all(in, out); });
        expect_same(comm, dtype, count, count * ranks,
                    [](auto& c, BufferView in, BufferView out) { c.gather(in, out, 1); });
        expect_same(comm, dtype, count * ranks, count,
                    [](auto& c, BufferView in, BufferView out) { c.scatter(in, out, 2); });
        expect_same(comm, dtype, count * ranks, count * ranks, [](auto& c, BufferView in, BufferView out) {
          copy(in, out);
          c.broadcast(out, 1);
        });
        expect_same(comm, dtype, count * ranks, count * ranks, [](auto& c, BufferView in, BufferView out) {
          copy(in, out);
          c.all_gather(out);
        });
        expect_same(comm, dtype, count, count, [](auto& c, BufferView in, BufferView out) {
          c.send_recv(in, (c.rank() + 1) % c.size(), out, (c.rank() + 2) % c.size());
        });
      }
    }
  });
}

TEST_F(Nccl, SendsToOneRank) {
  on_whole_gpus(3, [](Communicator& comm) {
    std::vector<float> value(5, static_cast<float>(comm.rank()));
    if (comm.rank() == 0) comm.send(on_gpu(comm, value), 2);
    if (comm.rank() == 2) comm.recv(on_gpu(comm, value), 0);
    EXPECT_EQ(value[4], comm.rank() == 2 ? 0.0f : static_cast<float>(comm.rank()));
  });
}

TEST_F(Nccl, SplitsBothGroups) {
  on_whole_gpus(4, [](Communicator& comm) {
    Communicator part = comm.split(comm.rank() % 2 == 0 ? -5 : 7, -comm.rank());
    EXPECT_EQ(part.backend(), "nccl");
    ASSERT_EQ(part.size(), 2);
    EXPECT_EQ(part.rank(), comm.rank() < 2 ? 1 : 0);
    std::vector<int> here{comm.rank()}, there = here;
    part.all_reduce(here);
    part.all_reduce(on_gpu(comm, there));
    EXPECT_EQ(here[0], comm.rank() % 2 == 0 ? 2 : 4);
    EXPECT_EQ(there, here);
  });
}

TEST_F(Nccl, TakesItsOwnGpuOnly) {
  on_whole_gpus(2, [](Communicator& comm) {
    std::vector<float> a(4), b(4);
    BufferView other = a;
    other.device = Device::cuda(5);
    EXPECT_THAT(
        [&] { comm.all_reduce(other); },
        ::testing::ThrowsMessage<DeviceError>("all_reduce: the back end nccl does not take `in` on cuda:5"));
    EXPECT_THAT([&] { comm.all_reduce(a, on_gpu(comm, b)); },
                ::testing::ThrowsMessage<DeviceError>(
                    ::testing::StartsWith("all_reduce: `in` is on cpu, `out` is on cuda:")));
    EXPECT_THROW(comm.allocate(8, Device::cuda(5)), DeviceError);
  });
}

}  // namespace
}  // namespace tutti::test
