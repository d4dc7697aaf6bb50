// Runs kernels of CUDA on the CPU: the threads of a block are fibres of one thread, switched where they wait for each
// other. What a GPU leaves undefined is an error here: a barrier or a shuffle that some threads never reach, a source lane
// that takes no part, more shared memory than was asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>

namespace tutti::simt {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr Dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
  constexpr std::size_t volume() const { return std::size_t{x} * y * z; }
};

inline constexpr unsigned warp_size = 32;
inline constexpr unsigned most_threads = 1024;                 // of a block
inline constexpr std::size_t most_static_shared = 48 << 10;    // bytes
inline constexpr std::size_t most_dynamic_shared = 227 << 10;  // with cudaFuncSetAttribute, of sm_90

struct Error : std::logic_error {
  using std::logic_error::logic_error;
};

// Of the thread that runs.
struct Thread {
  Dim3 at;          // threadIdx
  unsigned number;  // within the block
  unsigned lane() const { return number % warp_size; }
};
struct Place {
  Dim3 block, blocks, threads;  // blockIdx, gridDim, blockDim
};
const Thread& thread();
const Place& place();

// Runs `body` for each thread of each block. Throws Error; then what the kernel wrote is worth nothing.
void run(Dim3 blocks, Dim3 threads, std::size_t dynamic_shared, const std::function<void()>& body);

// Ends the kernel that runs with an Error.
[[noreturn]] void fail(const char* what);

// __syncthreads
void sync_block();
// Until another thread has written to this word of shared memory.
void wait_for_change(const unsigned& word);

// `size` bytes of each lane in `mask` meet; `from` gives what lane `source` brought. 16 bytes at most.
void exchange(std::uint32_t mask, const void* mine, std::size_t size, unsigned source, void* from);
// The same of all lanes, 32 bytes at most: what lane i brought is at all + i * size. Of those not in `mask`, nothing.
void gather(std::uint32_t mask, const void* mine, std::size_t size, void* all);
// One bit of each lane in `mask`.
std::uint32_t ballot(std::uint32_t mask, bool mine);

// Shared memory of the running block, filled with 0xff before it: one piece a key, aligned to 16.
void* static_shared(const void* key, std::size_t bytes);
void* dynamic_shared();

}  // namespace tutti::simt
