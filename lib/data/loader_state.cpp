#include "data/loader_state.h"

#include <fmt/format.h>

#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::data {

Share share_of(const char* what, std::int64_t batch, std::int64_t rank, std::int64_t ranks) {
  if (batch < 1) throw ConfigError(fmt::format("{}: the batch must be at least 1, not {}", what, batch));
  if (batch % ranks != 0) {
    throw ConfigError(
        fmt::format("{}: a batch must divide by the number of ranks: {} by {}", what, batch, ranks));
  }
  return {.first = batch / ranks * rank, .count = batch / ranks};
}

NamedTensor named_number(const char* name, std::uint64_t value) {
  return {name, tensor<std::int64_t>({static_cast<std::int64_t>(value)}, {})};
}

std::uint64_t number_in(const NamedTensor& named) {
  return static_cast<std::uint64_t>(named.tensor.to_vector<std::int64_t>().front());
}

}  // namespace tutti::data
