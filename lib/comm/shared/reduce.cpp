// The reductions of the shared engine.
#include <algorithm>

#include "comm/shared/run.h"
#include "kernels/combine.h"

namespace tutti::comm {
namespace {

using kernels::Combine;
using kernels::CombineToAll;

Signature reduction(const Backend::Call& call, std::size_t count, DType dtype, ReduceOp op) {
  Signature signature = make_signature(call, count, dtype);
  signature.op = static_cast<std::uint8_t>(op);
  return signature;
}

}  // namespace

Work SharedBackend::all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  run(
      call, reduction(call, in.count, in.dtype, op), in, out,
      [&] {
        // Each rank reduces its slice and writes it to all: nobody else touches that slice of any buffer.
        const Slice mine(in.count, size_of(in.dtype), rank(), size());
        for (int peer = 0; peer < size(); ++peer) {
          inputs_[index(peer)] = peer_in(peer);
          outputs_[index(peer)] = peer_out((rank() + peer) % size());
        }
        kernels::launch<CombineToAll>(Device::cpu(), op, in.dtype, mine.count, inputs_,
                                      mine.first * size_of(in.dtype), outputs_);
      },
      [&](const Piece& piece, int, std::byte* to) {
        transfer(to, bytes_of(in.data) + piece.offset(), piece.bytes());
      },
      [&](const Piece& piece, const Given& from) {
        std::copy(from.begin(), from.end(), inputs_.begin());
        inputs_[index(rank())] = in.data;
        kernels::launch<Combine>(Device::cpu(), op, in.dtype, piece.count, inputs_, out.data);
      },
      [&](const Piece& whole) { all_reduce_in_slices(in, out, op, whole, call); });
  return {};
}

// Each piece is cut into a slice for each rank. A rank gives the slices to their ranks, which combine what they have
// been given, put the result where it stood, and take it back: two phases, of which one goes on while the next piece
// is in the other.
void SharedBackend::all_reduce_in_slices(ConstBufferView in, BufferView out, ReduceOp op, const Piece& whole,
                                         const Call& call) {
  const std::size_t element = whole.element;
  const std::size_t step = group_.layout().block_bytes() / element * ranks();
  const auto pieces = static_cast<std::uint32_t>((whole.count + step - 1) / step);
  struct Part {
    std::size_t offset;
    std::size_t count;
  };
  const auto part = [&](std::uint32_t piece, int owner) {
    const std::size_t first = piece * step;
    const Slice slice(std::min(step, whole.count - first), element, owner, size());
    return Part{(first + slice.first) * element, slice.count};
  };
  const auto give = [&](std::uint32_t piece) {
    for (const int peer : group_.peers()) {
      const Part theirs = part(piece, peer);
      transfer(group_.block(rank(), peer, piece), bytes_of(in.data) + theirs.offset, theirs.count * element);
    }
  };
  const auto reduce = [&](std::uint32_t piece) {
    const Part mine = part(piece, rank());
    std::size_t n = 0;
    outputs_[n++] = bytes_of(out.data) + mine.offset;
    for (const int peer : group_.peers()) {
      outputs_[n++] = group_.block(peer, rank(), piece);
      inputs_[index(peer)] = group_.block(peer, rank(), piece);
    }
    inputs_[index(rank())] = bytes_of(in.data) + mine.offset;
    kernels::launch<CombineToAll>(Device::cpu(), op, in.dtype, mine.count, inputs_, std::size_t{0}, outputs_);
  };
  const auto take = [&](std::uint32_t piece) {
    for (const int peer : group_.peers()) {
      const Part theirs = part(piece, peer);
      transfer(bytes_of(out.data) + theirs.offset, group_.block(rank(), peer, piece), theirs.count * element);
    }
  };
  // In step s: piece s is given, s - 1 reduced and s - 2 taken. What others did in the step before is needed only
  // after this rank has given.
  std::uint32_t before = 0;
  for (std::uint32_t s = 0; s < pieces + 2; ++s) {
    if (s < pieces) give(s);
    if (s > 0) group_.await(call, before);
    if (s >= 2) take(s - 2);
    if (s >= 1 && s - 1 < pieces) reduce(s - 1);
    if (s < pieces + 1) before = group_.post();
  }
}

Work SharedBackend::reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  const auto block = [&](int owner) { return bytes_of(in.data) + index(owner) * out.bytes(); };
  run(
      call, reduction(call, out.count, in.dtype, op), in, out,
      [&] {
        for (int peer = 0; peer < size(); ++peer)
          inputs_[index(peer)] = peer_in(peer) + index(rank()) * out.bytes();
        kernels::launch<Combine>(Device::cpu(), op, in.dtype, out.count, inputs_, out.data);
      },
      [&](const Piece& piece, int peer, std::byte* to) {
        transfer(to, block(peer) + piece.offset(), piece.bytes());
      },
      [&](const Piece& piece, const Given& from) {
        std::copy(from.begin(), from.end(), inputs_.begin());
        inputs_[index(rank())] = block(rank()) + piece.offset();
        kernels::launch<Combine>(Device::cpu(), op, in.dtype, piece.count, inputs_,
                                 static_cast<void*>(bytes_of(out.data) + piece.offset()));
      });
  return {};
}

}  // namespace tutti::comm
