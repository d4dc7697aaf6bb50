#include "data/loader_state.h"

#include <fmt/format.h>

#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::data {
namespace {

NamedTensor named_number(const char* name, std::uint64_t value) {
  return {name, tensor<std::int64_t>({static_cast<std::int64_t>(value)}, {})};
}

std::int64_t number_in(const NamedTensor& named) { return *named.tensor.data<std::int64_t>(); }

NamedTensors numbers_of(const Position& position, const Settings& settings) {
  NamedTensors numbers{
      named_number("position", static_cast<std::uint64_t>(position.step())),
      named_number("logical_ranks", static_cast<std::uint64_t>(position.ranks().count())),
  };
  for (const auto& [name, value] : settings) numbers.push_back(named_number(name, value));
  return numbers;
}

}  // namespace

void check_batch(const char* what, std::int64_t batch, const LogicalRanks& ranks) {
  if (batch < 1) throw ConfigError(fmt::format("{}: the batch must be at least 1, not {}", what, batch));
  if (batch % ranks.count() != 0) {
    throw ConfigError(fmt::format("{}: a batch must divide by the number of logical ranks: {} by {}", what,
                                  batch, ranks.count()));
  }
}

Share share_of(std::int64_t batch, int v, const LogicalRanks& ranks) {
  const std::int64_t first = v * batch / ranks.count();
  return {.first = first, .count = (v + 1) * batch / ranks.count() - first};
}

NamedTensors state_of(const char* what, const Position& position, const Settings& settings) {
  if (position.taken() != 0) {
    throw DataError(
        fmt::format("{}: there is a state between steps only: of step {}, {} of the {} micro-batches of this "
                    "rank were taken",
                    what, position.step(), position.taken(), position.ranks().local_count()));
  }
  return numbers_of(position, settings);
}

std::int64_t step_in(const char* what, const NamedTensors& state, const Position& position,
                     const Settings& settings, const NamedTensors& others) {
  const auto mine = numbers_of(position, settings), saved = numbers_of(position, settings);
  auto expected = saved;
  expected.insert(expected.end(), others.begin(), others.end());
  copy_by_name(what, expected, state);
  for (std::size_t i = 1; i < mine.size(); ++i) {
    const auto theirs = number_in(saved[i]), ours = number_in(mine[i]);
    if (theirs == ours) continue;
    const auto advice =
        mine[i].name == "logical_ranks"
            ? fmt::format("set WorldOptions::logical_ranks or TUTTI_LOGICAL_RANKS to {}", theirs)
            : "its position stands for other samples";
    throw DataError(fmt::format("{}: {} is {} in the state and {} in this loader: {}", what, mine[i].name,
                                static_cast<std::uint64_t>(theirs), static_cast<std::uint64_t>(ours),
                                advice));
  }
  if (number_in(saved[0]) < 0) {
    throw DataError(fmt::format("{}: the position must not be negative: {}", what, number_in(saved[0])));
  }
  return number_in(saved[0]);
}

}  // namespace tutti::data
