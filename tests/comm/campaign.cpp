#include "campaign.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <numeric>
#include <random>

#include "mix.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

class Survivor {
 public:
  Survivor(Communicator& world, const Losses& run, const Board& board)
      : run_(run),
        column_(board[world.rank()]),
        group_(&world),
        members_(static_cast<std::size_t>(run.size)) {
    std::iota(members_.begin(), members_.end(), 0);
  }

  std::string run() {
    while (true) {
      try {
        work();
        return "fine";
      } catch (const CommError& error) {
        if (column_.failed_at == 0) column_.failed_at = nanoseconds_now();
        const auto wrong = complaint(error);
        if (!wrong.empty()) return wrong;
        go_on(members_[static_cast<std::size_t>(error.rank())]);
      }
    }
  }

 private:
  void work() {
    Mix mix(*group_, run_.seed + static_cast<std::uint32_t>(groups_.size()));
    const std::size_t survivors = static_cast<std::size_t>(run_.size) - run_.victims.size();
    for (int step = 0; members_.size() > survivors || step < 10; ++step) {
      mix.step();
      ++column_.rounds;
    }
  }

  bool is_victim(int rank) const {
    return std::find(run_.victims.begin(), run_.victims.end(), rank) != run_.victims.end();
  }

  std::string complaint(const CommError& error) const {
    const auto rank = static_cast<std::size_t>(error.rank());
    if (rank >= members_.size() || !is_victim(members_[rank]))
      return fmt::format("wrong report: rank {}: {}", error.rank(), error.what());
    try {
      group_->barrier();
    } catch (const CommError& again) {
      if (std::string_view(again.what()) == error.what()) return "";
    }
    return fmt::format("wrong report: another one than {}", error.what());
  }

  void go_on(int lost) {
    const std::size_t before = members_.size();
    groups_.push_back(group_->shrink());
    group_ = &groups_.back();
    // The second victim may have been lost by now, or not.
    const bool one = static_cast<std::size_t>(group_->size()) == before - 1;
    std::erase_if(members_, [&](int rank) { return one ? rank == lost : is_victim(rank); });
    if (static_cast<std::size_t>(group_->size()) != members_.size())
      throw std::logic_error(fmt::format("wrong report: {} of {} ranks are left", group_->size(), before));
  }

  const Losses& run_;
  Board::Column& column_;
  std::deque<Communicator> groups_;
  Communicator* group_;
  std::vector<int> members_;  // of the group under way, as ranks of the first one
};

}  // namespace

Losses::Losses(std::uint32_t seed) : seed(seed) {
  std::mt19937 random(seed);
  size = 2 + static_cast<int>(random() % 4);
  const int count = size > 2 && random() % 3 == 0 ? 2 : 1;
  std::vector<int> ranks(static_cast<std::size_t>(size));
  std::iota(ranks.begin(), ranks.end(), 0);
  while (static_cast<int>(victims.size()) < count) {
    const auto chosen = ranks.begin() + static_cast<std::ptrdiff_t>(random() % ranks.size());
    victims.push_back(*chosen);
    ranks.erase(chosen);
  }
  delay = std::chrono::microseconds(random() % 30'000);
  gap = std::chrono::microseconds(random() % 20'000);
}

std::string survive(Communicator& world, const Losses& run, const Board& board) {
  return Survivor(world, run, board).run();
}

}  // namespace tutti::test
