// Collectives of buffers on a GPU, by a back end that takes the CPU's alone.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>

#include "kernels/copy_queue.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

// How a collective lies in its buffers: in equal blocks, each of which is cut into the same pieces.
struct Blocks {
  std::size_t in = 1;    // blocks of `in` that this rank gives
  std::size_t out = 1;   // blocks of `out` that it gets
  std::size_t most = 1;  // in a buffer of any rank: all cut alike
  int own = -1;          // the block of `out` that `in` may stand in, if there is one
  bool returns = true;   // whether the back end writes to `out`
  bool whole = false;    // a message, which is not cut

  static Blocks in_place(bool gives = true, bool returns = true) { return {gives, 1, 1, 0, returns}; }
};

// Buffers go through pinned memory of the host, cut into pieces: while the back end has one piece, the result of the one
// before travels to the GPU, and the next one comes from there. Used by one thread at a time.
class Staging {
 public:
  using Body = std::function<Work(const ConstBufferView& in, const BufferView& out, const Backend::Call&)>;

  explicit Staging(Backend& backend) : backend_(backend) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // For the thread that calls: what stands in front of the collective.
  static kernels::StreamMark mark(Device gpu, const Backend::Call& call);

  // Runs `body` on pieces of the host's memory, behind `ready`; the results are on the GPU when it returns.
  void run(Device gpu, const Blocks& blocks, const ConstBufferView& in, const BufferView& out,
           const Backend::Call& call, const kernels::StreamMark& ready, const Body& body);

 private:
  struct Pinned {
    std::shared_ptr<void> memory;
    std::size_t bytes = 0;
  };
  struct Slot {
    Pinned in, out;
    kernels::StreamMark filled;
  };
  class Cut;

  void through_host(const Cut& cut, kernels::CopyQueue& queue, const Backend::Call& call, const Body& body);
  std::byte* room(Pinned& pinned, std::size_t bytes, Device gpu);

  Backend& backend_;
  std::map<int, std::unique_ptr<kernels::CopyQueue>> queues_;  // of each GPU
  std::array<Slot, 2> slots_;
  bool failed_ = false;
};

}  // namespace tutti::comm
