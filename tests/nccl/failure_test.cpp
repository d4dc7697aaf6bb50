// Deadlines, NCCL's own errors, aborts; and what happens when.
#include <future>

#include "parallel/under_way.h"
#include "tests/nccl/gpu_ranks.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

constexpr auto short_time = 200ms * TEST_SLOWDOWN;
constexpr auto long_time = 5s * TEST_SLOWDOWN;

TEST_F(Nccl, ARankThatDoesNotComeEndsInTimeout) {
  const auto errors = on_gpus(3, [](Communicator& comm) {
    comm.barrier();
    if (comm.rank() == 1) {
      std::this_thread::sleep_for(2 * short_time);
      // The others have said over the CPU's group why they gave up.
      EXPECT_THAT([&] { comm.barrier({.timeout = long_time}); },
                  ThrowsMessage<CommError>(HasSubstr("all_reduce #2: it was not done within")));
      return;
    }
    std::vector<float> values(10);
    const comm::Options quick{.timeout = short_time};
    try {
      comm.all_reduce(on_gpu(comm, values), ReduceOp::sum, quick);
      ADD_FAILURE() << "there was nobody to reduce with";
    } catch (const TimeoutError& error) {
      EXPECT_THAT(error.what(), StartsWith("all_reduce #2: it was not done within"));
      EXPECT_EQ(error.collective(), "all_reduce");
      EXPECT_EQ(error.sequence(), 2u);
      EXPECT_EQ(error.rank(), -1);
    }
    EXPECT_EQ(comm.flight_record().back().state, comm::FlightRecord::State::failed);
    EXPECT_THROW(comm.all_reduce(on_gpu(comm, values)), TimeoutError);
    EXPECT_THROW(comm.all_reduce(values), TimeoutError);
  });
  for (const auto& error : errors) EXPECT_NO_THROW(rethrow(error));
}

TEST_F(Nccl, AnErrorOfNcclsIsACommError) {
  on_whole_gpus(2, [](Communicator& comm) {
    comm.barrier();
    if (comm.rank() == 0) fake::state().async_error = ncclRemoteError;
    comm.barrier();
    std::vector<float> values(10);
    EXPECT_THAT(
        [&] { comm.all_reduce(on_gpu(comm, values)); },
        ThrowsMessage<CommError>(AllOf(HasSubstr("remote process exited"), HasSubstr("said the fake"))));
  });
}

TEST_F(Nccl, AnAbortFromAnotherThreadEndsTheWait) {
  on_whole_gpus(2, [](Communicator& comm) {
    if (comm.rank() == 1) {
      EXPECT_THAT([&] { comm.barrier(); }, ThrowsMessage<CommError>(HasSubstr("out of paper")));
      return;
    }
    std::thread watchdog([&] {
      std::this_thread::sleep_for(short_time);
      comm.abort("out of paper");
    });
    std::vector<float> values(10);
    EXPECT_THAT([&] { comm.all_reduce(on_gpu(comm, values)); },
                ThrowsMessage<CommError>("all_reduce #1: rank 0 aborted the group: out of paper"));
    watchdog.join();
  });
}

TEST_F(Nccl, AFailureOnTheCpuEndsTheGpusToo) {
  on_whole_gpus(2, [](Communicator& comm) {
    std::vector<float> values(10);
    if (comm.rank() == 1) {
      comm.barrier();
      comm.abort("nothing left");
      return;
    }
    comm.barrier();
    auto work = comm.all_reduce_async(on_gpu(comm, values));
    EXPECT_THROW(comm.barrier(), CommError);
    EXPECT_THAT([&] { work.wait(); }, ThrowsMessage<CommError>(HasSubstr("nothing left")));
  });
}

TEST_F(Nccl, AWaitThatGivesUpLeavesTheCollective) {
  on_whole_gpus(2, [](Communicator& comm) {
    std::vector<float> values(10, 1.0f);
    if (comm.rank() == 1) std::this_thread::sleep_for(2 * short_time);
    auto work = comm.all_reduce_async(on_gpu(comm, values));
    if (comm.rank() == 0) {
      EXPECT_FALSE(work.done());
      EXPECT_THAT([&] { work.wait(short_time / 4); }, ThrowsMessage<TimeoutError>(HasSubstr("it goes on")));
      EXPECT_EQ(comm.flight_record().back().state, comm::FlightRecord::State::running);
    }
    work.wait();
    EXPECT_EQ(comm.flight_record().back().state, comm::FlightRecord::State::done);
    EXPECT_EQ(values, std::vector<float>(10, 2.0f));
  });
}

// The collective runs behind what the stream has queued, and the stream goes on behind the collective; the host
// waits for neither.
TEST_F(Nccl, StreamsAreOrderedWithoutTheHost) {
  on_whole_gpus(2, [](Communicator& comm) {
    cudaStream_t stream;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    std::promise<void> go;
    std::vector<float> values(10), after(10);
    fake::enqueue(stream, [&, gone = go.get_future().share()] {
      gone.wait();
      values.assign(10, 1.0f);
    });
    auto work = comm.all_reduce_async(on_gpu(comm, values), ReduceOp::sum, {.stream = stream});
    work.wait_on(stream);
    std::promise<void> copied;
    fake::enqueue(stream, [&] {
      after = values;
      copied.set_value();
    });
    EXPECT_FALSE(work.done());
    go.set_value();
    copied.get_future().wait();
    EXPECT_EQ(after, std::vector<float>(10, 2.0f));
    work.wait();
    cudaStreamDestroy(stream);
  });
}

// A stream of the thread's own, behind which it stands until it is told to go.
class HeldStream {
 public:
  HeldStream() {
    cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
    fake::set_current_stream(stream_);
    fake::enqueue(stream_, [gone = go_.get_future().share()] { gone.wait(); });
  }
  ~HeldStream() {
    fake::set_current_stream(nullptr);
    cudaStreamDestroy(stream_);
  }
  void go() { go_.set_value(); }
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
  std::promise<void> go_;
};

// As buckets of gradients are reduced while a backward pass is queued, which is what the thread's own stream runs.
TEST_F(Nccl, ReductionsAreOrderedWithTheThreadsStream) {
  on_whole_gpus(2, [](Communicator& comm) {
    HeldStream compute;
    std::vector<std::vector<float>> buckets(3, std::vector<float>(1000));
    std::vector<float> after;
    parallel::UnderWay reductions;
    for (auto& bucket : buckets) {
      fake::enqueue(compute.get(), [&] { bucket.assign(1000, static_cast<float>(comm.rank() + 1)); });
      reductions.start(comm.all_reduce_async(on_gpu(comm, bucket)), Device::cuda(comm.rank()));
    }
    reductions.follow();
    std::promise<void> copied;
    fake::enqueue(compute.get(), [&] {
      for (const auto& bucket : buckets) after.push_back(bucket[999]);
      copied.set_value();
    });
    EXPECT_THAT(buckets, ::testing::Each(std::vector<float>(1000)));  // the host has come here first
    compute.go();
    copied.get_future().wait();
    EXPECT_THAT(after, ::testing::ElementsAre(3, 3, 3));
    reductions.settle();
    EXPECT_EQ(comm.flight_record().back().state, comm::FlightRecord::State::done);
  });
}

TEST_F(Nccl, WhoOnlyLooksIsToldOfADeadline) {
  const auto errors = on_gpus(2, [](Communicator& comm) {
    comm.barrier();
    if (comm.rank() == 1) return;
    std::vector<float> values(10);
    parallel::UnderWay reductions;
    const comm::Options quick{.timeout = short_time};
    reductions.start(comm.all_reduce_async(on_gpu(comm, values), ReduceOp::sum, quick), Device::cuda(0));
    reductions.follow();
    const auto look = [&] {
      for (const auto end = std::chrono::steady_clock::now() + long_time;
           std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(1ms)) {
        reductions.watch();
      }
    };
    EXPECT_THAT(look, ThrowsMessage<TimeoutError>(StartsWith("all_reduce #2: it was not done within")));
  });
  for (const auto& error : errors) EXPECT_NO_THROW(rethrow(error));
}

TEST_F(Nccl, ACommunicatorThatGoesWaitsForItsCollectives) {
  on_whole_gpus(2, [](Communicator& comm) {
    std::vector<float> values(10, 1.0f);
    { auto work = comm.all_reduce_async(on_gpu(comm, values)); }
    EXPECT_EQ(values, std::vector<float>(10, 2.0f));
  });
}

TEST_F(Nccl, AWorkMayOutliveItsCommunicator) {
  std::vector<float> values[] = {std::vector<float>(10, 1.0f), std::vector<float>(10, 1.0f)};
  std::vector<comm::Work> works(2);
  on_whole_gpus(2, [&](Communicator& comm) {
    const auto rank = static_cast<std::size_t>(comm.rank());
    works[rank] = comm.all_reduce_async(on_gpu(comm, values[rank]));
  });
  for (auto& work : works) work.wait();
  works.clear();
  EXPECT_EQ(values[0], std::vector<float>(10, 2.0f));
  EXPECT_EQ(values[1], values[0]);
}

TEST_F(Nccl, MemoryIsRegisteredAndGivenBack) {
  std::shared_ptr<void> longest[2];
  on_whole_gpus(2, [&](Communicator& comm) {
    {
      const auto memory = comm.allocate(40, Device::cuda(comm.rank()));
      comm.barrier();
      EXPECT_EQ(fake::state().registrations, 2);
      BufferView buffer(memory.get(), 10, DType::f32, Device::cuda(comm.rank()));
      std::fill_n(static_cast<float*>(memory.get()), 10, 3.0f);
      comm.all_reduce(buffer, ReduceOp::sum, {.order = ReduceOrder::any});
      EXPECT_EQ(static_cast<float*>(memory.get())[9], 6.0f);
      comm.barrier();
      EXPECT_EQ(fake::state().waits, 0);
      comm.barrier();
    }
    comm.barrier();
    EXPECT_EQ(fake::state().waits, 2);  // for kernels that use it still
    EXPECT_EQ(fake::state().registrations, 0);
    comm.barrier();
    longest[comm.rank()] = comm.allocate(40, Device::cuda(comm.rank()));
    EXPECT_EQ(comm.allocate(40).use_count(), 1);  // the CPU's, which NCCL does not know
  });
  EXPECT_EQ(fake::state().registrations, 0);
  EXPECT_EQ(fake::state().allocations, 2);
}

}  // namespace
}  // namespace tutti::test
