// Copies between pageable memory of the host and a GPU by way of a small ring of pinned memory: one piece is copied by the CPU's
// threads while the GPU fetches the one before. The driver does as much with one thread, and waits for it.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>
#include <mutex>

namespace tutti::kernels {

class StagingRing {
 public:
  // For fewer bytes it does not pay.
  static constexpr std::size_t least_bytes = std::size_t{1} << 20;

  // The current GPU's, made at the first call and never destroyed.
  static StagingRing& current();

  // False where no memory could be pinned, and nothing was copied. `from` may be changed afterwards.
  bool to_gpu(void* to, const void* from, std::size_t bytes, cudaStream_t stream);
  // The same; `to` holds the bytes afterwards.
  bool to_host(void* to, const void* from, std::size_t bytes, cudaStream_t stream);

 private:
  static constexpr std::size_t piece_bytes = std::size_t{2} << 20;
  struct Piece {
    void* data = nullptr;
    cudaEvent_t done = nullptr;  // the GPU with it
  };

  bool ready();
  static void wait_for(const Piece& piece);

  std::mutex mutex_;
  std::array<Piece, 4> pieces_;
  std::size_t next_ = 0;
  bool tried_ = false;
};

}  // namespace tutti::kernels
