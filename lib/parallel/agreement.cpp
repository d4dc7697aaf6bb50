#include "parallel/agreement.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include "tutti/core/error.h"

namespace tutti::parallel {
namespace {

// A line for each tensor.
std::string describe(const NamedTensors& tensors) {
  std::string text;
  for (const auto& [name, tensor] : tensors) {
    text += fmt::format("{} {} {}{}\n", name, name_of(tensor.dtype()), tensor.shape().str(),
                        tensor.device().is_cuda() ? " cuda" : "");
  }
  return text;
}

std::string broadcast_text(const std::string& own, Communicator& comm) {
  std::array<std::int64_t, 1> size{static_cast<std::int64_t>(own.size())};
  comm.broadcast(size);
  std::vector<std::uint8_t> bytes(own.begin(), own.end());
  bytes.resize(static_cast<std::size_t>(size[0]));
  comm.broadcast(bytes);
  return {bytes.begin(), bytes.end()};
}

std::string first_difference(const std::string& own, const std::string& root) {
  std::istringstream mine(own), theirs(root);
  std::string a, b;
  while (true) {
    const bool more_a = static_cast<bool>(std::getline(mine, a));
    const bool more_b = static_cast<bool>(std::getline(theirs, b));
    if (!more_a && !more_b) return {};
    if (!more_a) a = "nothing more";
    if (!more_b) b = "nothing more";
    if (a != b) return fmt::format("here '{}', on rank 0 '{}'", a, b);
  }
}

}  // namespace

void check_agreement(const NamedTensors& tensors, const std::string& settings, Communicator& comm) {
  const std::string own = settings + describe(tensors);
  const std::string difference = first_difference(own, broadcast_text(own, comm));
  std::array<std::int32_t, 1> last_differing{difference.empty() ? -1 : comm.rank()};
  comm.all_reduce(last_differing, ReduceOp::max);
  if (!difference.empty()) {
    throw ConfigError(fmt::format("data parallel: the model or the options of rank {} differ: {}",
                                  comm.rank(), difference));
  }
  if (last_differing[0] >= 0) {
    throw ConfigError(fmt::format("data parallel: the model or the options of rank {} differ from rank 0's",
                                  last_differing[0]));
  }
}

}  // namespace tutti::parallel
