// What every loader needs: the micro-batches of a batch, and its state as tensors.
#pragma once

#include <cstdint>
#include <vector>

#include "tutti/data/position.h"
#include "tutti/tensor/named_tensor.h"

namespace tutti::data {

// Throws ConfigError, its message beginning with `what`, when `batch` is not positive or does not divide by the
// number of logical ranks.
void check_batch(const char* what, std::int64_t batch, const LogicalRanks& ranks);

// Samples [first, first + count) of a batch.
struct Share {
  std::int64_t first;
  std::int64_t count;
};

// Those of logical rank `v`, of `batch` samples.
Share share_of(std::int64_t batch, int v, const LogicalRanks& ranks);

// A number on which it depends what samples a position stands for.
struct Setting {
  const char* name;
  std::uint64_t value;
};
using Settings = std::vector<Setting>;

// i64 scalars: "position", "logical_ranks" and the settings, these with the bits of their values. Throws DataError
// in the middle of a step.
NamedTensors state_of(const char* what, const Position& position, const Settings& settings);

// The step in `state`, which fills `others` too, by name. Throws DataError when it is not the state of a loader with
// these settings and as many logical ranks.
std::int64_t step_in(const char* what, const NamedTensors& state, const Position& position,
                     const Settings& settings, const NamedTensors& others = {});

}  // namespace tutti::data
