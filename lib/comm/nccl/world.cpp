// Which rank gets which GPU.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <vector>

#include "comm/nccl.h"
#include "comm/nccl/backend.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

constexpr const char* asked = "World: TUTTI_BACKEND=nccl";

// What a rank tells the others about its GPU. The identity is that of the hardware, for a launcher may let each
// rank see another GPU as number 0.
struct Card {
  std::array<char, 16> identity{};
  bool there = false;
};

Card card_of(Device gpu) {
  cudaDeviceProp properties;
  kernels::check(cudaGetDeviceProperties(&properties, gpu.index()), asked);
  Card card{{}, true};
  static_assert(sizeof properties.uuid.bytes == sizeof card.identity);
  std::memcpy(card.identity.data(), properties.uuid.bytes, card.identity.size());
  return card;
}

void check_cards(const std::vector<Card>& cards) {
  for (std::size_t rank = 0; rank < cards.size(); ++rank) {
    if (!cards[rank].there) throw ConfigError(fmt::format("{}: rank {} has no GPU", asked, rank));
    for (std::size_t other = 0; other < rank; ++other) {
      if (cards[other].identity != cards[rank].identity) continue;
      throw ConfigError(
          fmt::format("{}: ranks {} and {} would share a GPU, and NCCL takes one rank a GPU: start at "
                      "most as many ranks on a machine as it has GPUs",
                      asked, other, rank));
    }
  }
}

}  // namespace

NcclWorld make_nccl_world(std::unique_ptr<Backend> cpu, int local_rank, std::chrono::milliseconds timeout) {
  const Backend::Call call{"world", 0, timeout};
  std::string why;
  const bool there = Device::has_cuda(&why);
  Device gpu;
  Card mine;
  if (there) {
    int count = 0;
    kernels::check(cudaGetDeviceCount(&count), asked);
    gpu = Device::cuda(local_rank % count);
    mine = card_of(gpu);
  }
  // Before anybody leaves with an error, so that nobody waits for him.
  std::vector<Card> cards(static_cast<std::size_t>(cpu->size()));
  cpu->all_gather({&mine, sizeof mine, DType::u8}, {cards.data(), cards.size() * sizeof mine, DType::u8},
                  call)
      .wait();
  if (!there) throw DeviceError(fmt::format("{}: {}", asked, why));
  check_cards(cards);
  kernels::check(cudaSetDevice(gpu.index()), asked);
  return {make_nccl_backend(std::move(cpu), gpu, call), gpu};
}

}  // namespace tutti::comm
