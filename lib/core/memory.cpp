#include "tutti/core/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <numeric>
#include <type_traits>

#include "core/block_cache.h"
#include "core/fork.h"
#include "core/memory_account.h"

namespace tutti::memory {
namespace {

struct Account {
  Usage now, peak;
  std::size_t total = 0, most = 0;
};

// The CPU's and, by their indices, the GPUs'; those beyond share the last.
struct Accounts {
  std::mutex mutex;
  GpuCache gpus{[](int, Statistics&) {}, [] {}};
  std::array<Account, 17> of_devices;

  Account& of(Device device) {
    return of_devices[device.is_cpu()
                          ? 0
                          : std::min<std::size_t>(static_cast<std::size_t>(device.index()) + 1, 16)];
  }
};

constinit Accounts accounts;
static_assert(std::is_trivially_destructible_v<Accounts>);  // tensors may outlive it

[[maybe_unused]] const bool held = hold_while_forking<[]() -> std::mutex& { return accounts.mutex; }>();

std::string text_of(std::size_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); }

}  // namespace

std::string_view name_of(Category category) {
  constexpr std::string_view names[] = {"activations", "parameters", "gradients", "optimizer", "workspace"};
  return names[static_cast<std::size_t>(category)];
}

std::size_t Usage::total() const { return std::accumulate(bytes.begin(), bytes.end(), std::size_t{0}); }

void add(Device device, Category category, std::size_t bytes) noexcept {
  const std::lock_guard lock(accounts.mutex);
  auto& account = accounts.of(device);
  account.now.bytes[static_cast<std::size_t>(category)] += bytes;
  account.total += bytes;
  if (account.total <= account.most) return;
  account.most = account.total;
  account.peak = account.now;
}

void remove(Device device, Category category, std::size_t bytes) noexcept {
  const std::lock_guard lock(accounts.mutex);
  auto& account = accounts.of(device);
  account.now.bytes[static_cast<std::size_t>(category)] -= bytes;
  account.total -= bytes;
}

void set_gpu_cache(GpuCache cache) noexcept {
  const std::lock_guard lock(accounts.mutex);
  accounts.gpus = cache;
}

Statistics statistics(Device device) {
  Statistics statistics;
  GpuCache gpus;
  {
    const std::lock_guard lock(accounts.mutex);
    gpus = accounts.gpus;
    auto& account = accounts.of(device);
    statistics.now = account.now;
    statistics.peak = account.peak;
  }
  if (device.is_cpu()) {
    const auto counts = BlockCache::instance().counts();
    statistics.cached = counts.cached;
    statistics.fresh = counts.fresh;
    statistics.reused = counts.reused;
  } else {
    gpus.count(device.index(), statistics);
  }
  return statistics;
}

void reset_peak(Device device) {
  {
    const std::lock_guard lock(accounts.mutex);
    auto& account = accounts.of(device);
    account.peak = account.now;
    account.most = account.total;
  }
  if (device.is_cpu()) BlockCache::instance().reset_peak();
}

void empty_cache() {
  BlockCache::instance().empty();
  GpuCache gpus;
  {
    const std::lock_guard lock(accounts.mutex);
    gpus = accounts.gpus;
  }
  gpus.empty();
}

std::string summary(Device device) {
  const auto [now, peak, cached, graphs, fresh, reused] = statistics(device);
  auto text = fmt::format("{:<28} {:>12} {:>12}\n", "memory of tensors on " + device.str(), "now", "peak");
  const auto row = [&](std::string_view name, std::size_t a, std::size_t b) {
    text += fmt::format("{:<28} {:>12} {:>12}\n", name, text_of(a), text_of(b));
  };
  for (std::size_t i = 0; i < categories; ++i)
    row(name_of(static_cast<Category>(i)), now.bytes[i], peak.bytes[i]);
  row("together", now.total(), peak.total());
  text += fmt::format("{:<28} {:>12}\n", "kept for the next", text_of(cached));
  if (graphs > 0) text += fmt::format("{:<28} {:>12}\n", "kept for CUDA graphs", text_of(graphs));
  text += fmt::format("from the {} {} times, from what was kept {} times\n",
                      device.is_cpu() ? "system" : "driver", fresh, reused);
  return text;
}

}  // namespace tutti::memory
