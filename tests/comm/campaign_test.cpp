// Ranks are lost at random moments of random collectives. TUTTI_CAMPAIGN=<n> makes n times as many runs.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "campaign.h"
#include "mix.h"
#include "processes.h"
#include "ranks.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using namespace std::chrono_literals;
using ::testing::Each;

int times(int runs) {
  const char* factor = std::getenv("TUTTI_CAMPAIGN");
  return runs * (factor != nullptr ? std::max(1, std::atoi(factor)) : 1);
}

class Campaign {
 public:
  explicit Campaign(int signal) : signal_(signal) {}

  void run(const Losses& run) {
    const Board board;
    {
      Processes ranks(run.size, [&](Communicator& world) {
        // All are there before the short deadline counts.
        world.barrier();
        if (signal_ == SIGSTOP) world.set_timeout(deadline);
        return survive(world, run, board);
      });
      const auto first = lose(ranks, run, board);
      for (int rank = 0; rank < run.size; ++rank) {
        if (std::find(run.victims.begin(), run.victims.end(), rank) != run.victims.end()) continue;
        count(ranks.report(rank, 30s * TEST_SLOWDOWN), run, rank);
        times_.push_back(static_cast<double>(board[rank].failed_at - first) / 1e6);
      }
    }
    leftovers_ += left_in_shm().size();
    ++runs_;
  }

  void conclude(const char* what) {
    std::sort(times_.begin(), times_.end());
    fmt::print(
        "{} runs with ranks {}: {} hangs, {} wrong results, {} wrong reports, {} leftovers; ms to the error: "
        "{:.1f} (p50), "
        "{:.1f} (p99), {:.1f} (max)\n",
        runs_, what, hangs_, wrong_results_, wrong_reports_, leftovers_, at(50), at(99), times_.back());
    EXPECT_EQ(hangs_ + wrong_results_ + wrong_reports_ + leftovers_, 0u);
    EXPECT_LT(at(50), (signal_ == SIGKILL ? 100.0 : 1000.0) * TEST_SLOWDOWN);
  }

  static constexpr auto deadline = 500ms * TEST_SLOWDOWN;

 private:
  // When the first victim was lost.
  std::int64_t lose(const Processes& ranks, const Losses& run, const Board& board) const {
    board.wait_for(run.size, 1);
    std::this_thread::sleep_for(run.delay);
    const auto now = nanoseconds_now();
    ranks.signal(run.victims.front(), signal_);
    if (run.victims.size() > 1) {
      std::this_thread::sleep_for(run.gap);
      ranks.signal(run.victims.back(), signal_);
    }
    return now;
  }

  void count(const std::string& report, const Losses& run, int rank) {
    if (report == "fine") return;
    ADD_FAILURE() << fmt::format("seed {}, rank {} of {}, lost {}: {}", run.seed, rank, run.size,
                                 fmt::join(run.victims, ", "), report);
    ++(report == "still running"            ? hangs_
       : report.starts_with("wrong result") ? wrong_results_
                                            : wrong_reports_);
  }

  double at(std::size_t percent) const { return times_[(times_.size() - 1) * percent / 100]; }

  int signal_;
  std::size_t runs_ = 0, hangs_ = 0, wrong_results_ = 0, wrong_reports_ = 0, leftovers_ = 0;
  std::vector<double> times_;
};

TEST(Campaign, RanksAreKilled) {
  Campaign campaign(SIGKILL);
  for (int i = 0; i < times(20); ++i) campaign.run(Losses(static_cast<std::uint32_t>(1000 + i)));
  campaign.conclude("killed");
}

TEST(Campaign, RanksAreStopped) {
  Campaign campaign(SIGSTOP);
  for (int i = 0; i < times(10); ++i) campaign.run(Losses(static_cast<std::uint32_t>(5000 + i)));
  campaign.conclude("stopped");
}

TEST(Campaign, ThreadsLeave) {
  for (int i = 0; i < times(10); ++i) {
    const Losses run(static_cast<std::uint32_t>(9000 + i));
    const Board board;
    const auto results = on_threads(run.size, [&](Communicator& world) -> std::string {
      for (std::size_t v = 0; v < run.victims.size(); ++v) {
        if (world.rank() != run.victims[v]) continue;
        Communicator leaves = std::move(world);
        Mix mix(leaves, run.seed);
        try {
          for (std::size_t step = 0; step < 5 + 5 * v; ++step) mix.step();
        } catch (const CommError&) {
          // The other victim has left.
        }
        return "fine";
      }
      return survive(world, run, board);
    });
    EXPECT_THAT(results, Each("fine")) << "seed " << run.seed;
  }
}

TEST(Campaign, AThreadAborts) {
  for (int i = 0; i < times(10); ++i) {
    const Losses run(static_cast<std::uint32_t>(7000 + i));
    // A rank that is told must not take its memory away from one that is still at work on it.
    std::vector<std::unique_ptr<Mix>> mixes(static_cast<std::size_t>(run.size));
    const auto results = on_threads(run.size, [&](Communicator& world) -> std::string {
      auto& mix = mixes[static_cast<std::size_t>(world.rank())];
      mix = std::make_unique<Mix>(world, run.seed);
      std::thread watchdog;
      if (world.rank() == run.victims.front()) {
        watchdog = std::thread([&] {
          std::this_thread::sleep_for(run.delay);
          world.abort("enough");
        });
      }
      std::string result;
      try {
        while (true) mix->step();
      } catch (const CommError& error) {
        result = error.rank() == run.victims.front() ? "fine" : error.what();
      }
      if (watchdog.joinable()) watchdog.join();
      auto group = world.shrink();
      if (group.size() != run.size) return "not all are left";
      Mix after(group, run.seed);
      for (int step = 0; step < 10; ++step) after.step();
      return result;
    });
    EXPECT_THAT(results, Each("fine")) << "seed " << run.seed;
  }
}

}  // namespace
}  // namespace tutti::test
