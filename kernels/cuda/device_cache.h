// Memory of GPUs that was given back, kept for those who ask for as much: asking the driver takes longer than most kernels run,
// and giving back waits for the GPU. The header of a block cannot lie in it, so blocks are known by their addresses.
//
// A block that was given back serves its own stream at once, since what comes there runs after what used it. Other streams get
// it by way of the driver alone, after all have been waited for. TUTTI_CUDA_CACHE=0 keeps nothing, as the address sanitizer
// does: each use of freed memory is seen, by it (on simulated GPUs) or by compute-sanitizer.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tutti::kernels {

// Of a stream, or of a graph: that one's blocks go to no other until it is destroyed, as each replay writes there.
struct DevicePool {
  int gpu = 0;
  cudaStream_t stream =
      nullptr;  // of a graph: the one it was captured from, in whose order its blocks came and go
  bool of_graph = false;
  std::map<std::size_t, std::vector<void*>> kept;  // by size
  std::vector<std::pair<void*, std::pair<std::size_t, DevicePool*>>>
      held;               // by a graph, of other pools: not used again
  std::size_t bytes = 0;  // that are kept
};

class DeviceCache {
 public:
  // The one of the process. It is never destroyed: tensors may outlive it, and the driver may be gone by then.
  static DeviceCache& instance();

  // At least `bytes` bytes of the current GPU, for its current stream or for the graph that this thread captures; never null.
  // Throws DeviceError.
  void* take(std::size_t bytes, bool unused = false);  // nothing queued before has used it
  // From any thread, whatever GPU is its current one.
  void give(void* block) noexcept;
  // Gives the driver back what is kept of one GPU, or of all; graphs keep theirs.
  void empty(int gpu);
  void empty();
  // The stream is idle, and about to be destroyed.
  void forget(int gpu, cudaStream_t stream) noexcept;

  // Between the two, what this thread takes of the GPU comes from the pool of a graph, and what it gives back stays there.
  DevicePool& begin_graph(int gpu, cudaStream_t stream);
  void end_graph() noexcept;
  // No replay is under way or comes any more.
  void close(DevicePool& graph) noexcept;
  std::size_t bytes_of(const DevicePool& graph);

  struct Counts {
    std::size_t cached = 0, graphs = 0;  // bytes
    std::uint64_t fresh = 0, reused = 0;
  };
  Counts counts(int gpu);

  // For tests. Returns what it was.
  bool set_keeps(bool keeps);

 private:
  struct Block {
    std::size_t bytes;
    DevicePool* pool;
  };

  DeviceCache();
  // With the lock, as the next ones.
  DevicePool& pool_of(int gpu, cudaStream_t stream);
  void* take_kept(DevicePool& pool, std::size_t size, DevicePool& into);
  void put(DevicePool& pool, void* block, std::size_t bytes);
  void put_or_free(DevicePool& pool, void* block, std::size_t bytes) noexcept;
  void move_all(DevicePool& from, DevicePool& to) noexcept;
  // Without it. `size` is what the block has.
  void* from_driver(std::size_t asked, std::size_t& size, int gpu);

  bool keeps_;
  int captures_ = 0;  // under way
  std::unordered_map<void*, Block> in_use_;
  std::map<std::pair<int, cudaStream_t>, DevicePool> pools_;
  std::list<DevicePool> graphs_;
  std::map<int, Counts> counts_;
};

}  // namespace tutti::kernels
