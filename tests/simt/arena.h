// The memory of simulated GPUs.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include "tests/simt/runtime.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) static_cast<void>(at)
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) static_cast<void>(at)
#endif

namespace tutti::simt {

inline constexpr std::size_t arena_bytes = std::size_t{64} << 30, grain = 512;
inline constexpr std::size_t most_guarded =
    1 << 20;                                     // bytes of GPUs: with more, it takes most of a test's time
inline constexpr std::size_t kept_poisoned = 4;  // blocks of a size

inline thread_local int current_gpu = 0;

// The memory of all GPUs. A grain behind each block stays poisoned, and a block that was given back too, until several of
// its size were.
class Arena {
 public:
  static Arena& instance() {
    static auto& arena = *new Arena;  // tensors may outlive it
    return arena;
  }

  std::recursive_mutex mutex;

  void* take(std::size_t bytes) {
    const std::scoped_lock lock(mutex);
    const std::size_t room = (bytes + grain - 1) / grain * grain + grain;
    if (bytes + in_use_[current_gpu] > counters().gpu_bytes || room > arena_bytes - used_) return nullptr;
    auto& given = given_[room];
    std::byte* block;
    if (given.size() > kept_poisoned) {
      block = given.front();
      given.pop_front();
    } else {
      block = base_ + used_;
      used_ += room;
    }
    blocks_[block] = {bytes, current_gpu};
    in_use_[current_gpu] += bytes;
    open();
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    std::memset(block, 0xff, bytes);
    ASAN_POISON_MEMORY_REGION(block + bytes, room - bytes);
    close();
    return block;
  }

  bool give(void* block) {
    const std::scoped_lock lock(mutex);
    const auto at = blocks_.find(static_cast<std::byte*>(block));
    if (at == blocks_.end()) return false;
    const auto [bytes, gpu] = at->second;
    in_use_[gpu] -= bytes;
    blocks_.erase(at);
    given_[(bytes + grain - 1) / grain * grain + grain].push_back(static_cast<std::byte*>(block));
    ASAN_POISON_MEMORY_REGION(block, bytes);
    return true;
  }

  // The GPU whose memory this is, or -1.
  int owner(const void* data) {
    const std::scoped_lock lock(mutex);
    auto at = blocks_.upper_bound(static_cast<std::byte*>(const_cast<void*>(data)));
    if (at == blocks_.begin()) return -1;
    --at;
    return data <= at->first + at->second.bytes ? at->second.gpu : -1;
  }

  std::size_t in_use(int gpu) { return in_use_[gpu]; }

  void open() {
    ++open_;
    if (opened_ < used_) mprotect(base_, used_, PROT_READ | PROT_WRITE);
    opened_ = used_;
  }
  void close() {
    if (--open_ > 0 || opened_ == 0 || used_ > most_guarded) return;
    mprotect(base_, opened_, PROT_NONE);
    opened_ = 0;
  }

 private:
  struct Block {
    std::size_t bytes;
    int gpu;
  };

  Arena()
      : base_(static_cast<std::byte*>(
            mmap(nullptr, arena_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {}

  std::byte* base_;
  std::size_t used_ = 0, opened_ = 0;
  int open_ = 0;
  std::map<std::byte*, Block> blocks_;
  std::map<std::size_t, std::deque<std::byte*>> given_;  // back, by their room
  std::map<int, std::size_t> in_use_;
};

// While the memory of GPUs can be touched.
class Opened {
 public:
  Opened() : lock_(Arena::instance().mutex) { Arena::instance().open(); }
  ~Opened() { Arena::instance().close(); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

 private:
  std::scoped_lock<std::recursive_mutex> lock_;
};

}  // namespace tutti::simt
