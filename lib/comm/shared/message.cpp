// Messages between two ranks, parcel by parcel through their mailbox.
#include <fmt/format.h>

#include "comm/shared/backend.h"
#include "comm/shared/slice.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

// One direction of a message, from `from` to `to`, of which this rank is one.
class Message {
 public:
  Message(Group& group, int from, int to, std::uint64_t number, ConstBufferView buffer)
      : group_(group),
        layout_(group.layout()),
        base_(group.segment().base()),
        from_(from),
        to_(to),
        number_(number),
        buffer_(buffer) {}

  int peer() const { return group_.rank() == from_ ? to_ : from_; }
  bool done() const { return from_ < 0 || to_ < 0 || done_; }

  // Whether the next parcel can be written, or read.
  bool ready() const {
    if (done()) return false;
    const auto filled =
        box().written.load(std::memory_order_acquire) - box().taken.load(std::memory_order_acquire);
    return group_.rank() == from_ ? filled < Mailbox::parcels : filled > 0;
  }

  void write() {
    const std::uint32_t parcel = box().written.load(std::memory_order_relaxed);
    box().contents[parcel % Mailbox::parcels] = {number_, buffer_.count, buffer_.dtype};
    transfer(place(parcel), bytes_of(buffer_.data) + moved_, next());
    advance(box().written);
  }

  void read(std::byte* to, const Backend::Call& call) {
    const std::uint32_t parcel = box().taken.load(std::memory_order_relaxed);
    check(box().contents[parcel % Mailbox::parcels], call);
    transfer(to + moved_, place(parcel), next());
    advance(box().taken);
  }

 private:
  Mailbox& box() const { return layout_.mailbox(base_, from_, to_); }
  std::byte* place(std::uint32_t parcel) const { return layout_.parcel(base_, from_, to_, parcel); }
  std::size_t next() const { return std::min(layout_.parcel_bytes(), buffer_.bytes() - moved_); }

  void advance(std::atomic<std::uint32_t>& parcels) {
    moved_ += next();
    done_ = moved_ == buffer_.bytes();
    parcels.store(parcels.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    group_.ring(peer());
  }

  void check(const Mailbox::Parcel& parcel, const Backend::Call& call) const {
    if (parcel.count == buffer_.count && parcel.dtype == buffer_.dtype && parcel.sequence == number_) return;
    group_.fail(
        call, Failure::Kind::comm, from_,
        fmt::format("rank {} sent {}[{}] as message {}, rank {} expects {}[{}]", from_, name_of(parcel.dtype),
                    parcel.count, parcel.sequence, to_, name_of(buffer_.dtype), buffer_.count));
  }

  Group& group_;
  const Layout& layout_;
  std::byte* base_;
  int from_, to_;
  std::uint64_t number_;
  ConstBufferView buffer_;
  std::size_t moved_ = 0;
  bool done_ = false;
};

}  // namespace

Work SharedBackend::send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from,
                              const Call& call) {
  group_.begin(call);
  if (to.rank == rank()) {
    transfer(bytes_of(out.data), bytes_of(in.data), in.bytes());
    return {};
  }
  Message sent(group_, rank(), to.rank, to.message, in);
  Message received(group_, from.rank, rank(), from.message, out);
  std::vector<int> peers;
  while (!sent.done() || !received.done()) {
    // A peer that is through with its message may leave.
    peers.clear();
    for (const Message* message : {&sent, &received}) {
      if (!message->done()) peers.push_back(message->peer());
    }
    group_.wait(
        call, [&] { return sent.ready() || received.ready(); }, peers,
        [&](int peer) {
          return (sent.done() || sent.peer() != peer) && (received.done() || received.peer() != peer);
        });
    if (sent.ready()) sent.write();
    if (received.ready()) received.read(bytes_of(out.data), call);
  }
  return {};
}

}  // namespace tutti::comm
