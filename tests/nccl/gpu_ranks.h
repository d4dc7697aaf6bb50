// Ranks that are threads with a fake GPU each.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <thread>
#include <vector>

#include "comm/nccl/backend.h"
#include "comm/threads/threads.h"
#include "tests/nccl/fake.h"
#include "tutti/comm/communicator.h"

namespace tutti::test {

using namespace std::chrono_literals;

// Runs `body` on `size` ranks at once; what each threw, or null.
inline std::vector<std::exception_ptr> on_gpus(int size, const std::function<void(Communicator&)>& body,
                                               std::chrono::milliseconds timeout = 20s * TEST_SLOWDOWN) {
  auto ranks = comm::make_threads_backends(size);
  std::vector<std::exception_ptr> errors(ranks.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    threads.emplace_back([&, i] {
      try {
        const comm::Backend::Call call{"world", 0, 20s * TEST_SLOWDOWN};
        Communicator comm(
            comm::make_nccl_backend(std::move(ranks[i]), Device::cuda(static_cast<int>(i)), call));
        comm.set_timeout(timeout);
        body(comm);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return errors;
}

inline void rethrow(const std::exception_ptr& error) {
  if (error) std::rethrow_exception(error);
}

inline void on_whole_gpus(int size, const std::function<void(Communicator&)>& body) {
  for (const auto& error : on_gpus(size, body)) ASSERT_NO_THROW(rethrow(error));
}

// The same memory, said to lie on this rank's GPU or on the CPU.
inline BufferView on_gpu(const Communicator& comm, BufferView view) {
  view.device = Device::cuda(comm.rank());
  return view;
}

// Each fake thing that was made in a test is gone after it.
class Nccl : public ::testing::Test {
 protected:
  void SetUp() override {
    fake::state().gpus = 8;
    fake::state().one_card = false;
    fake::state().async_error = ncclSuccess;
    fake::state().waits = 0;
  }
  void TearDown() override {
    EXPECT_EQ(fake::state().streams, 0);
    EXPECT_EQ(fake::state().events, 0);
    EXPECT_EQ(fake::state().communicators, 0);
    EXPECT_EQ(fake::state().registrations, 0);
    EXPECT_EQ(fake::state().allocations, 0);
  }
};

}  // namespace tutti::test
