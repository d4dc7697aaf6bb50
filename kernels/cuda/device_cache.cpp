#include "kernels/cuda/device_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <string_view>

#include "core/block_cache.h"
#include "core/fork.h"
#include "core/memory_account.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/stream.h"
#include "kernels/memory.h"
#include "tutti/core/error.h"

namespace tutti::kernels {
namespace {

constinit std::mutex mutex;
[[maybe_unused]] const bool held = hold_while_forking<[]() -> std::mutex& { return mutex; }>();

thread_local DevicePool* capturing = nullptr;

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
constexpr bool keeps_by_default = false;
#else
constexpr bool keeps_by_default = true;
#endif

bool keeps_as_asked_for() {
  const char* text = std::getenv("TUTTI_CUDA_CACHE");
  return text ? std::string_view(text) != "0" : keeps_by_default;
}

// While a thread captures, it may ask the driver for memory in this mode alone.
class Relaxed {
 public:
  Relaxed() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~Relaxed() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  Relaxed(const Relaxed&) = delete;
  Relaxed& operator=(const Relaxed&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

}  // namespace

DeviceCache& DeviceCache::instance() {
  static auto& cache = *new DeviceCache;
  return cache;
}

DeviceCache::DeviceCache() : keeps_(keeps_as_asked_for()) {
  memory::set_gpu_cache({[](int gpu, memory::Statistics& statistics) {
                           const auto counts = instance().counts(gpu);
                           statistics.cached = counts.cached;
                           statistics.graphs = counts.graphs;
                           statistics.fresh = counts.fresh;
                           statistics.reused = counts.reused;
                         },
                         [] { instance().empty(); }});
}

DevicePool& DeviceCache::pool_of(int gpu, cudaStream_t stream) {
  const auto [at, fresh] = pools_.try_emplace({gpu, stream});
  if (fresh) {
    at->second.gpu = gpu;
    at->second.stream = stream;
  }
  return at->second;
}

void* DeviceCache::take_kept(DevicePool& pool, std::size_t size, DevicePool& into) {
  const auto at = pool.kept.find(size);
  if (at == pool.kept.end() || at->second.empty()) return nullptr;
  void* const block = at->second.back();
  in_use_.emplace(block, Block{size, &into});
  at->second.pop_back();
  pool.bytes -= size;
  ++counts_[pool.gpu].reused;
  return block;
}

void* DeviceCache::take(std::size_t bytes, bool unused) {
  const int gpu = current_gpu();
  DevicePool* pool = capturing && capturing->gpu == gpu ? capturing : nullptr;
  std::size_t size = std::max<std::size_t>(bytes, 1);  // the driver would give null for 0
  {
    const std::lock_guard lock(mutex);
    DevicePool& of_stream = pool_of(gpu, pool ? pool->stream : stream_of(gpu));
    const bool graph = pool != nullptr;
    if (!graph) pool = &of_stream;
    if (keeps_) {
      size = std::max(memory::BlockCache::size_of_block(std::max<std::size_t>(bytes, 512)), size);
      void* block = unused ? nullptr : take_kept(*pool, size, *pool);
      if (!block && !unused && graph) block = take_kept(of_stream, size, *pool);
      if (block) return block;
    }
  }
  void* const block = from_driver(bytes, size, gpu);
  const std::lock_guard lock(mutex);
  in_use_.emplace(block, Block{size, pool});
  ++counts_[gpu].fresh;
  return block;
}

void* DeviceCache::from_driver(std::size_t asked, std::size_t& size, int gpu) {
  const Relaxed relaxed;
  void* block = nullptr;
  cudaError_t status = cudaMalloc(&block, size);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    empty(gpu);
    size = std::max<std::size_t>(asked, 1);  // not more than needed
    status = cudaMalloc(&block, size);
  }
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), Allocate::name);
    const auto device = Device::cuda(gpu);
    throw DeviceError(fmt::format("allocate: no {} bytes of memory left on {}: {} of {} are free\n{}", asked,
                                  device.str(), free, total, memory::summary(device)));
  }
  check(status, Allocate::name);
  return block;
}

void DeviceCache::put(DevicePool& pool, void* block, std::size_t bytes) {
  pool.kept[bytes].push_back(block);
  pool.bytes += bytes;
}

// Where there is no memory for the list, or nothing is kept. An error is an earlier kernel's, and the next call meets it again.
void DeviceCache::put_or_free(DevicePool& pool, void* block, std::size_t bytes) noexcept {
  try {
    if (keeps_ || pool.of_graph) return put(pool, block, bytes);
  } catch (const std::bad_alloc&) {
    if (pool.of_graph) return;  // lost, rather than someone else's
  }
  const Relaxed relaxed;
  cudaFree(block);
}

void DeviceCache::give(void* block) noexcept {
  const std::lock_guard lock(mutex);
  const auto at = in_use_.find(block);
  if (at == in_use_.end()) return;
  const auto [bytes, pool] = at->second;
  in_use_.erase(at);
  if (!capturing || pool->of_graph || pool->gpu != capturing->gpu) return put_or_free(*pool, block, bytes);
  // The graph may have used it, and would do so at each replay, where nothing else may lie.
  try {
    capturing->held.push_back({block, {bytes, pool}});
    capturing->bytes += bytes;
  } catch (const std::bad_alloc&) {  // lost
  }
}

void DeviceCache::empty(int gpu) {
  std::vector<void*> blocks;
  {
    const std::lock_guard lock(mutex);
    if (captures_ > 0) return;  // which waiting would end
    for (auto& [key, pool] : pools_) {
      if (pool.gpu != gpu) continue;
      for (const auto& [bytes, kept] : pool.kept) blocks.insert(blocks.end(), kept.begin(), kept.end());
      pool.kept.clear();
      pool.bytes = 0;
    }
  }
  if (blocks.empty()) return;
  const GpuScope current(gpu);
  const cudaError_t status = cudaDeviceSynchronize();
  for (void* const block : blocks) cudaFree(block);
  check(status, Allocate::name);
}

void DeviceCache::empty() {
  std::vector<int> gpus;
  {
    const std::lock_guard lock(mutex);
    for (const auto& [gpu, counts] : counts_) gpus.push_back(gpu);
  }
  for (const int gpu : gpus) empty(gpu);
}

void DeviceCache::move_all(DevicePool& from, DevicePool& to) noexcept {
  for (const auto& [bytes, kept] : from.kept) {
    for (void* const block : kept) put_or_free(to, block, bytes);
  }
  for (const auto& [block, of] : from.held) put_or_free(*of.second, block, of.first);
  for (auto& [block, in_use] : in_use_) {
    if (in_use.pool == &from) in_use.pool = &to;
  }
}

void DeviceCache::forget(int gpu, cudaStream_t stream) noexcept {
  const std::lock_guard lock(mutex);
  DevicePool& to = pool_of(gpu, nullptr);
  for (auto& graph : graphs_) {
    if (graph.gpu == gpu && graph.stream == stream) graph.stream = nullptr;
    for (auto& [block, of] : graph.held) {
      if (of.second->gpu == gpu && of.second->stream == stream) of.second = &to;
    }
  }
  const auto at = pools_.find({gpu, stream});
  if (at == pools_.end() || stream == nullptr) return;
  move_all(at->second, to);
  pools_.erase(at);
}

DevicePool& DeviceCache::begin_graph(int gpu, cudaStream_t stream) {
  const std::lock_guard lock(mutex);
  DevicePool& pool = graphs_.emplace_back();
  pool.gpu = gpu;
  pool.stream = stream;
  pool.of_graph = true;
  ++captures_;
  capturing = &pool;
  return pool;
}

void DeviceCache::end_graph() noexcept {
  const std::lock_guard lock(mutex);
  --captures_;
  capturing = nullptr;
}

void DeviceCache::close(DevicePool& graph) noexcept {
  const std::lock_guard lock(mutex);
  move_all(graph, pool_of(graph.gpu, graph.stream));
  graphs_.remove_if([&](const DevicePool& pool) { return &pool == &graph; });
}

std::size_t DeviceCache::bytes_of(const DevicePool& graph) {
  const std::lock_guard lock(mutex);
  std::size_t bytes = graph.bytes;
  for (const auto& [block, in_use] : in_use_) bytes += in_use.pool == &graph ? in_use.bytes : 0;
  return bytes;
}

DeviceCache::Counts DeviceCache::counts(int gpu) {
  const std::lock_guard lock(mutex);
  Counts counts = counts_[gpu];
  for (const auto& [key, pool] : pools_) counts.cached += pool.gpu == gpu ? pool.bytes : 0;
  for (const auto& pool : graphs_) counts.graphs += pool.gpu == gpu ? pool.bytes : 0;
  return counts;
}

bool DeviceCache::set_keeps(bool keeps) {
  const std::lock_guard lock(mutex);
  return std::exchange(keeps_, keeps);
}

}  // namespace tutti::kernels
