// Ranks as threads of the test.
#pragma once

#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "tutti/comm/world.h"
#include "tutti/core/default_device.h"

namespace tutti::test {

// Runs `f` on `size` ranks at once, with the default device of this thread, and, when all have ended, throws the first rank's error if there is one.
inline void on_ranks(int size, const std::function<void(Communicator&)>& f) {
  auto ranks = World::threads(size);
  std::vector<std::exception_ptr> errors(ranks.size());
  std::vector<std::thread> threads;
  const Device device = default_device();
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    threads.emplace_back([&, i] {
      const DefaultDevice on_device(device);
      try {
        ranks[i].set_timeout(std::chrono::seconds(30));
        f(ranks[i]);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace tutti::test
