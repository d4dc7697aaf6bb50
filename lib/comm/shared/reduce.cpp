// The reductions of the shared engine.
#include <algorithm>
#include <vector>

#include "comm/shared/piece.h"
#include "kernels/combine.h"

namespace tutti::comm {
namespace {

using kernels::Combine;

Signature reduction(const Backend::Call& call, std::size_t count, DType dtype, ReduceOp op) {
  Signature signature = make_signature(call, count, dtype);
  signature.op = static_cast<std::uint8_t>(op);
  return signature;
}

void combine(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in, std::byte* out) {
  kernels::launch<Combine>(Device::cpu(), op, dtype, count, in, static_cast<void*>(out));
}

}  // namespace

void SharedBackend::combine_staged(const Piece& piece, int block, ReduceOp op, DType dtype, std::size_t first,
                                   std::size_t count, std::byte* out) const {
  std::vector<const void*> in(static_cast<std::size_t>(size()));
  for (int rank = 0; rank < size(); ++rank) {
    in[static_cast<std::size_t>(rank)] = staged(rank, piece, block) + first * piece.element;
  }
  combine(op, dtype, count, in, out);
}

// Each rank reduces its slice and writes it to all: nobody else touches that slice of any buffer.
void SharedBackend::all_reduce_in_place_of_peers(std::size_t count, ReduceOp op, DType dtype) const {
  constexpr std::size_t cached =
      16 * 1024;  // so that the copies to the peers come from the first-level cache
  const std::size_t element = size_of(dtype);
  const Slice mine(count, element, rank(), size());
  std::vector<const void*> in(static_cast<std::size_t>(size()));
  for (std::size_t done = 0; done < mine.count; done += cached / element) {
    const std::size_t length = std::min(cached / element, mine.count - done);
    const std::size_t offset = (mine.first + done) * element;
    for (int peer = 0; peer < size(); ++peer) in[static_cast<std::size_t>(peer)] = peer_in(peer) + offset;
    std::byte* const result = peer_out(rank()) + offset;
    combine(op, dtype, length, in, result);
    for (int i = 1; i < size(); ++i)
      transfer(peer_out((rank() + i) % size()) + offset, result, length * element);
  }
}

Work SharedBackend::all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  run(
      call, reduction(call, in.count, in.dtype, op), in, out, 1,
      [&] { all_reduce_in_place_of_peers(in.count, op, in.dtype); },
      [&](const Piece& piece) {
        transfer(staged(rank(), piece), bytes_of(in.data) + piece.offset(), piece.bytes());
      },
      [&](const Piece& piece) {
        std::byte* const target = bytes_of(out.data) + piece.offset();
        // Two ranks read no more when each combines everything, and save a phase.
        if (piece.small || size() <= 2) return combine_staged(piece, 0, op, in.dtype, 0, piece.count, target);
        const Slice mine(piece.count, piece.element, rank(), size());
        combine_staged(piece, 0, op, in.dtype, mine.first, mine.count,
                       staged(rank(), piece) + mine.first * piece.element);
        group_.meet(call);
        for (int peer = 0; peer < size(); ++peer) {
          const Slice part(piece.count, piece.element, peer, size());
          const std::size_t offset = part.first * piece.element;
          transfer(target + offset, staged(peer, piece) + offset, part.count * piece.element);
        }
      });
  return {};
}

Work SharedBackend::reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  run(
      call, reduction(call, out.count, in.dtype, op), in, out, size(),
      [&] {
        std::vector<const void*> blocks(static_cast<std::size_t>(size()));
        for (int peer = 0; peer < size(); ++peer) {
          blocks[static_cast<std::size_t>(peer)] =
              peer_in(peer) + static_cast<std::size_t>(rank()) * out.bytes();
        }
        combine(op, in.dtype, out.count, blocks, bytes_of(out.data));
      },
      [&](const Piece& piece) {
        for (int block = 0; block < size(); ++block) {
          const std::size_t offset = static_cast<std::size_t>(block) * out.bytes() + piece.offset();
          transfer(staged(rank(), piece, block), bytes_of(in.data) + offset, piece.bytes());
        }
      },
      [&](const Piece& piece) {
        combine_staged(piece, rank(), op, in.dtype, 0, piece.count, bytes_of(out.data) + piece.offset());
      });
  return {};
}

}  // namespace tutti::comm
