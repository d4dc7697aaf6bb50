// The collectives of the shared engine that move elements without reducing them.
#include "comm/shared/piece.h"

namespace tutti::comm {
namespace {

Signature rooted(const Backend::Call& call, std::size_t count, DType dtype, int root) {
  Signature signature = make_signature(call, count, dtype);
  signature.root = root;
  return signature;
}

std::size_t times(int rank, std::size_t bytes) { return static_cast<std::size_t>(rank) * bytes; }

}  // namespace

Work SharedBackend::all_gather(ConstBufferView in, BufferView out, const Call& call) {
  // Each begins with itself, so that not all read the same rank's memory at once.
  const auto collect = [&](const auto& block_of_peer, std::size_t offset, std::size_t bytes) {
    for (int i = 0; i < size(); ++i) {
      const int peer = (rank() + i) % size();
      const std::byte* from = peer == rank() ? bytes_of(in.data) + offset : block_of_peer(peer);
      transfer(bytes_of(out.data) + times(peer, in.bytes()) + offset, from, bytes);
    }
  };
  run(
      call, make_signature(call, in.count, in.dtype), in, out, 1,
      [&] { collect([&](int peer) { return peer_in(peer); }, 0, in.bytes()); },
      [&](const Piece& piece) {
        transfer(staged(rank(), piece), bytes_of(in.data) + piece.offset(), piece.bytes());
      },
      [&](const Piece& piece) {
        collect([&](int peer) { return staged(peer, piece); }, piece.offset(), piece.bytes());
      });
  return {};
}

Work SharedBackend::broadcast(BufferView buffer, int root, const Call& call) {
  run(
      call, rooted(call, buffer.count, buffer.dtype, root), buffer, buffer, 1,
      [&] {
        if (rank() != root) transfer(bytes_of(buffer.data), peer_in(root), buffer.bytes());
      },
      [&](const Piece& piece) {
        if (rank() == root)
          transfer(staged(root, piece), bytes_of(buffer.data) + piece.offset(), piece.bytes());
      },
      [&](const Piece& piece) {
        if (rank() != root)
          transfer(bytes_of(buffer.data) + piece.offset(), staged(root, piece), piece.bytes());
      });
  return {};
}

Work SharedBackend::all_to_all(ConstBufferView in, BufferView out, const Call& call) {
  const std::size_t count = in.count / static_cast<std::size_t>(size());
  const std::size_t bytes = count * size_of(in.dtype);
  run(
      call, make_signature(call, count, in.dtype), in, out, size(),
      [&] {
        for (int i = 0; i < size(); ++i) {
          const int peer = (rank() + i) % size();
          transfer(bytes_of(out.data) + times(peer, bytes), peer_in(peer) + times(rank(), bytes), bytes);
        }
      },
      [&](const Piece& piece) {
        for (int block = 0; block < size(); ++block) {
          transfer(staged(rank(), piece, block), bytes_of(in.data) + times(block, bytes) + piece.offset(),
                   piece.bytes());
        }
      },
      [&](const Piece& piece) {
        for (int peer = 0; peer < size(); ++peer) {
          transfer(bytes_of(out.data) + times(peer, bytes) + piece.offset(), staged(peer, piece, rank()),
                   piece.bytes());
        }
      });
  return {};
}

Work SharedBackend::gather(ConstBufferView in, BufferView out, int root, const Call& call) {
  run(
      call, rooted(call, in.count, in.dtype, root), in, out, 1,
      [&] {
        for (int peer = 0; rank() == root && peer < size(); ++peer) {
          transfer(bytes_of(out.data) + times(peer, in.bytes()), peer_in(peer), in.bytes());
        }
      },
      [&](const Piece& piece) {
        transfer(staged(rank(), piece), bytes_of(in.data) + piece.offset(), piece.bytes());
      },
      [&](const Piece& piece) {
        for (int peer = 0; rank() == root && peer < size(); ++peer) {
          transfer(bytes_of(out.data) + times(peer, in.bytes()) + piece.offset(), staged(peer, piece),
                   piece.bytes());
        }
      });
  return {};
}

Work SharedBackend::scatter(ConstBufferView in, BufferView out, int root, const Call& call) {
  run(
      call, rooted(call, out.count, out.dtype, root), in, out, size(),
      [&] { transfer(bytes_of(out.data), peer_in(root) + times(rank(), out.bytes()), out.bytes()); },
      [&](const Piece& piece) {
        for (int block = 0; rank() == root && block < size(); ++block) {
          const std::size_t offset = times(block, out.bytes()) + piece.offset();
          transfer(staged(root, piece, block), bytes_of(in.data) + offset, piece.bytes());
        }
      },
      [&](const Piece& piece) {
        transfer(bytes_of(out.data) + piece.offset(), staged(root, piece, rank()), piece.bytes());
      });
  return {};
}

}  // namespace tutti::comm
