// The collectives of the shared engine that move elements without reducing them.
#include "comm/shared/run.h"

namespace tutti::comm {
namespace {

Signature rooted(const Backend::Call& call, std::size_t count, DType dtype, int root) {
  Signature signature = make_signature(call, count, dtype);
  signature.root = root;
  return signature;
}

}  // namespace

Work SharedBackend::all_gather(ConstBufferView in, BufferView out, const Call& call) {
  const auto block = [&](int peer) { return bytes_of(out.data) + index(peer) * in.bytes(); };
  run(
      call, make_signature(call, in.count, in.dtype), in, out,
      [&] {
        for (const int peer : group_.peers()) transfer(block(peer), peer_in(peer), in.bytes());
        transfer(block(rank()), bytes_of(in.data), in.bytes());
      },
      [&](const Piece& piece, int, std::byte* to) {
        transfer(to, bytes_of(in.data) + piece.offset(), piece.bytes());
      },
      [&](const Piece& piece, const Given& from) {
        for (const int peer : group_.peers())
          transfer(block(peer) + piece.offset(), from[index(peer)], piece.bytes());
        transfer(block(rank()) + piece.offset(), bytes_of(in.data) + piece.offset(), piece.bytes());
      });
  return {};
}

Work SharedBackend::broadcast(BufferView buffer, int root, const Call& call) {
  run(
      call, rooted(call, buffer.count, buffer.dtype, root), buffer, buffer,
      [&] {
        if (rank() != root) transfer(bytes_of(buffer.data), peer_in(root), buffer.bytes());
      },
      [&](const Piece& piece, int, std::byte* to) {
        if (rank() == root) transfer(to, bytes_of(buffer.data) + piece.offset(), piece.bytes());
      },
      [&](const Piece& piece, const Given& from) {
        if (rank() != root)
          transfer(bytes_of(buffer.data) + piece.offset(), from[index(root)], piece.bytes());
      });
  return {};
}

Work SharedBackend::all_to_all(ConstBufferView in, BufferView out, const Call& call) {
  const std::size_t count = in.count / ranks();
  const std::size_t bytes = count * size_of(in.dtype);
  const auto given = [&](int peer) { return bytes_of(in.data) + index(peer) * bytes; };
  const auto taken = [&](int peer) { return bytes_of(out.data) + index(peer) * bytes; };
  run(
      call, make_signature(call, count, in.dtype), in, out,
      [&] {
        for (const int peer : group_.peers())
          transfer(taken(peer), peer_in(peer) + index(rank()) * bytes, bytes);
        transfer(taken(rank()), given(rank()), bytes);
      },
      [&](const Piece& piece, int peer, std::byte* to) {
        transfer(to, given(peer) + piece.offset(), piece.bytes());
      },
      [&](const Piece& piece, const Given& from) {
        for (const int peer : group_.peers())
          transfer(taken(peer) + piece.offset(), from[index(peer)], piece.bytes());
        transfer(taken(rank()) + piece.offset(), given(rank()) + piece.offset(), piece.bytes());
      });
  return {};
}

Work SharedBackend::gather(ConstBufferView in, BufferView out, int root, const Call& call) {
  const auto block = [&](int peer) { return bytes_of(out.data) + index(peer) * in.bytes(); };
  run(
      call, rooted(call, in.count, in.dtype, root), in, out,
      [&] {
        for (int peer = 0; rank() == root && peer < size(); ++peer)
          transfer(block(peer), peer_in(peer), in.bytes());
      },
      [&](const Piece& piece, int peer, std::byte* to) {
        if (peer == root) transfer(to, bytes_of(in.data) + piece.offset(), piece.bytes());
      },
      [&](const Piece& piece, const Given& from) {
        if (rank() != root) return;
        for (const int peer : group_.peers())
          transfer(block(peer) + piece.offset(), from[index(peer)], piece.bytes());
        transfer(block(root) + piece.offset(), bytes_of(in.data) + piece.offset(), piece.bytes());
      });
  return {};
}

Work SharedBackend::scatter(ConstBufferView in, BufferView out, int root, const Call& call) {
  const auto block = [&](int peer) { return bytes_of(in.data) + index(peer) * out.bytes(); };
  run(
      call, rooted(call, out.count, out.dtype, root), in, out,
      [&] { transfer(bytes_of(out.data), peer_in(root) + index(rank()) * out.bytes(), out.bytes()); },
      [&](const Piece& piece, int peer, std::byte* to) {
        if (rank() == root) transfer(to, block(peer) + piece.offset(), piece.bytes());
      },
      [&](const Piece& piece, const Given& from) {
        const std::byte* mine = rank() == root ? block(root) + piece.offset() : from[index(root)];
        transfer(bytes_of(out.data) + piece.offset(), mine, piece.bytes());
      });
  return {};
}

}  // namespace tutti::comm
