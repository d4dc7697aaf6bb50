#include "ranks.h"

#include <exception>
#include <thread>

#include "tutti/comm/world.h"

namespace tutti::test {

std::vector<std::string> on_threads(int size, const std::function<std::string(Communicator&)>& body) {
  auto ranks = World::threads(size);
  std::vector<std::string> results(ranks.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    threads.emplace_back([&results, &body, i, comm = std::move(ranks[i])]() mutable {
      try {
        results[i] = body(comm);
      } catch (const std::exception& error) {
        results[i] = error.what();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return results;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

}  // namespace tutti::test
