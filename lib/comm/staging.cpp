#include "comm/staging.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <mutex>
#include <vector>

#include "kernels/memory.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

constexpr std::size_t least_bytes = 64 << 10, most_bytes = 4 << 20;  // of a piece

// Of a rank that has an error its peers may not know yet, and still read what it gave them.
void keep_for_ever(std::shared_ptr<void> memory) {
  static std::mutex mutex;
  static auto& kept = *new std::vector<std::shared_ptr<void>>;
  const std::scoped_lock lock(mutex);
  kept.push_back(std::move(memory));
}

}  // namespace

// The pieces of a collective.
class Staging::Cut {
 public:
  Cut(Device gpu, const Blocks& blocks, const ConstBufferView& in, const BufferView& out)
      : gpu_(gpu),
        blocks_(blocks),
        in_(in),
        out_(out),
        element_(size_of(blocks.in > 0 ? in.dtype : out.dtype)) {
    count_ = blocks.in > 0 ? in.count / blocks.in : blocks.out > 0 ? out.count / blocks.out : 0;
    step_ = blocks.whole ? std::max(in.count, out.count) : most_bytes / (element_ * blocks.most);
    step_ = std::max<std::size_t>(step_, 1);
    pieces_ = blocks.whole ? 1 : std::max<std::size_t>((count_ + step_ - 1) / step_, 1);
  }

  Device gpu() const { return gpu_; }
  std::size_t pieces() const { return pieces_; }
  std::size_t in_bytes() const { return together() ? 0 : in_view(0, nullptr).bytes(); }
  std::size_t out_bytes() const { return out_view(0, nullptr).bytes(); }

  // Both in one place, where the collective may work in place.
  bool together() const { return blocks_.own >= 0; }
  ConstBufferView in_view(std::size_t piece, const Slot* slot) const {
    if (blocks_.whole) return {data(slot, &Slot::in), in_.count, in_.dtype};
    const std::size_t n = count(piece);
    if (!together()) return {data(slot, &Slot::in), blocks_.in * n, in_.dtype};
    const auto* out = static_cast<const std::byte*>(data(slot, &Slot::out));
    return {out ? out + static_cast<std::size_t>(blocks_.own) * n * element_ : nullptr, n, out_.dtype};
  }
  BufferView out_view(std::size_t piece, const Slot* slot) const {
    return {data(slot, &Slot::out), blocks_.whole ? out_.count : blocks_.out * count(piece), out_.dtype};
  }

  void fill(kernels::CopyQueue& queue, std::size_t piece, const Slot& slot) const {
    const ConstBufferView staged = in_view(piece, &slot);
    if (blocks_.whole) return queue.to_host(const_cast<void*>(staged.data), in_.data, in_.bytes());
    for (std::size_t block = 0; block < blocks_.in; ++block) {
      queue.to_host(at(staged.data, block * count(piece)), at(in_.data, block * count_ + piece * step_),
                    count(piece) * element_);
    }
  }
  void drain(kernels::CopyQueue& queue, std::size_t piece, const Slot& slot) const {
    if (!blocks_.returns) return;
    const BufferView staged = out_view(piece, &slot);
    if (blocks_.whole) return queue.to_gpu(out_.data, staged.data, out_.bytes());
    for (std::size_t block = 0; block < blocks_.out; ++block) {
      queue.to_gpu(at(out_.data, block * count_ + piece * step_), at(staged.data, block * count(piece)),
                   count(piece) * element_);
    }
  }

 private:
  std::size_t count(std::size_t piece) const { return std::min(step_, count_ - piece * step_); }
  static void* data(const Slot* slot, Pinned Slot::*part) {
    return slot ? (slot->*part).memory.get() : nullptr;
  }
  std::byte* at(const void* data, std::size_t element) const {
    return static_cast<std::byte*>(const_cast<void*>(data)) + element * element_;
  }

  Device gpu_;
  const Blocks& blocks_;
  const ConstBufferView& in_;
  const BufferView& out_;
  std::size_t element_;
  std::size_t count_, step_, pieces_;  // of a block
};

Staging::~Staging() {
  for (auto& slot : slots_) {
    for (Pinned* pinned : {&slot.in, &slot.out}) {
      if (failed_ && pinned->memory) keep_for_ever(std::move(pinned->memory));
    }
  }
}

kernels::StreamMark Staging::mark(Device gpu, const Backend::Call& call) {
  return kernels::mark_stream(gpu, call.stream);
}

// Memory that peers reach, where the back end has such: it then copies nothing more.
std::byte* Staging::room(Pinned& pinned, std::size_t bytes, Device gpu) {
  if (pinned.bytes < bytes) {
    pinned = {};
    const std::size_t rounded = std::max(least_bytes, std::bit_ceil(bytes));
    auto memory = backend_.allocate(rounded);
    void* const data = memory.get();
    const bool is_pinned = kernels::launch<kernels::Pin>(gpu, data, rounded);
    pinned.memory = {data, [memory = std::move(memory), gpu, is_pinned](void* at) {
                       if (is_pinned) kernels::launch<kernels::Unpin>(gpu, at);
                     }};
    pinned.bytes = rounded;
  }
  return static_cast<std::byte*>(pinned.memory.get());
}

void Staging::run(Device gpu, const Blocks& blocks, const ConstBufferView& in, const BufferView& out,
                  const Backend::Call& call, const kernels::StreamMark& ready, const Body& body) {
  const bool moved = in.data != out.data;
  try {
    auto& queue = queues_[gpu.index()];
    if (!queue) queue = std::make_unique<kernels::CopyQueue>(gpu);
    queue->hold(ready);
    try {
      if (backend_.size() == 1) {
        // What the rank gets is what it gives. The back end is asked all the same: it may have been aborted.
        body({nullptr, 0, in.dtype}, {nullptr, 0, out.dtype}, call).wait();
        if (moved) queue->within_gpu(out.data, in.data, out.bytes());
      } else {
        through_host({gpu, blocks, in, out}, *queue, call, body);
      }
    } catch (...) {
      queue->mark()->synchronize();  // the buffers are the caller's again
      throw;
    }
    queue->mark()->synchronize();
  } catch (const CommError&) {
    failed_ = true;
    throw;
  } catch (const std::exception& error) {
    failed_ = true;
    backend_.abort(error.what());  // the peers may be in the midst of it
    throw CommError(fmt::format("{} #{}: {}", call.name, call.sequence, error.what()), call.name,
                    call.sequence, backend_.rank());
  }
}

void Staging::through_host(const Cut& cut, kernels::CopyQueue& queue, const Backend::Call& call,
                           const Body& body) {
  Backend::Call part = call;
  if (cut.pieces() > 1) part.pieces = static_cast<std::uint32_t>(cut.pieces());
  for (std::size_t i = 0; i < std::min(cut.pieces(), slots_.size()); ++i) {
    room(slots_[i].in, cut.in_bytes(), cut.gpu());
    room(slots_[i].out, cut.out_bytes(), cut.gpu());
  }
  const auto fill = [&](std::size_t piece) {
    Slot& slot = slots_[piece % slots_.size()];
    cut.fill(queue, piece, slot);
    slot.filled = queue.mark();
  };
  fill(0);
  for (std::size_t piece = 0; piece < cut.pieces(); ++piece) {
    Slot& slot = slots_[piece % slots_.size()];
    if (piece + 1 < cut.pieces()) fill(piece + 1);  // behind the results of the one that was there
    slot.filled->synchronize();
    body(cut.in_view(piece, &slot), cut.out_view(piece, &slot), part).wait();
    cut.drain(queue, piece, slot);
  }
}

}  // namespace tutti::comm
