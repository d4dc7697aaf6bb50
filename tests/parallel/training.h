// Short training runs of a model on ranks that are threads, for tests that compare bits.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <mutex>
#include <numeric>
#include <set>
#include <string>

#include "tests/support/ranks.h"
#include "tutti/tutti.h"

namespace tutti::test {

inline constexpr Shard all_shards[] = {Shard::none, Shard::optimizer, Shard::gradients, Shard::parameters};

// What all ranks say, who say the same.
inline std::string agreed(int size, int logical, const std::function<std::string(Communicator&)>& body) {
  std::mutex mutex;
  std::set<std::string> results;
  on_ranks(size, [&](Communicator& comm) {
    comm.set_logical_ranks(logical);
    const std::string result = body(comm);
    std::scoped_lock lock(mutex);
    results.insert(result);
  });
  EXPECT_EQ(results.size(), 1u) << "ranks of one world differ";
  return *results.begin();
}

// Three steps of a model that says `loss(rng, v)`: loss, weights, buffers and the optimizer's state.
template <typename Net>
std::string bits_of(int size, const DataParallelOptions& options, int logical = 4) {
  return agreed(size, logical, [&](Communicator& comm) {
    Net net;
    DataParallel parallel(net, comm, options);
    optim::AdamW optimizer(parallel.parameters(), {.lr = 1e-2});
    for (std::uint64_t step = 0; step < 3; ++step) {
      for (const int v : parallel.micro_batches()) {
        Generator rng(7, 100 * step + static_cast<std::uint64_t>(v));
        parallel.backward(net.loss(rng, v));
      }
      parallel.step(optimizer);
    }
    NamedTensors all = parallel.full().state_dict();
    for (const auto& one : parallel.full(optimizer).state_dict()) all.push_back(one);
    return fmt::format("{:a} {}", parallel.loss(), fingerprint(all));
  });
}

// The same bits in every world and under every sharding, with a bucket for nearly each parameter and with one for all.
template <typename Net>
void expect_same_bits(DataParallelOptions options = {}) {
  for (const std::size_t bytes : {std::size_t{300}, std::size_t{1} << 20}) {
    options.first_bucket_bytes = options.bucket_bytes = bytes;
    options.shard = Shard::none;
    const auto alone = bits_of<Net>(1, options);
    for (const Shard shard : all_shards) {
      options.shard = shard;
      for (const int size : {1, 2, 3, 4}) {
        EXPECT_EQ(bits_of<Net>(size, options), alone)
            << size << " ranks, sharding " << static_cast<int>(shard) << ", buckets of " << bytes;
      }
    }
  }
}

}  // namespace tutti::test
