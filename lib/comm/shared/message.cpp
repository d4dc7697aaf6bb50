// Messages between two ranks, parcel by parcel through their mailbox.
#include <fmt/format.h>

#include "comm/shared/backend.h"
#include "comm/shared/slice.h"

namespace tutti::comm {
namespace {

// One direction of a message. `step` moves a parcel where that needs no waiting.
class Sending {
 public:
  Sending(Group& group, ConstBufferView in, Backend::Endpoint to)
      : layout_(group.layout()), base_(group.segment().base()), in_(in), to_(to), me_(group.rank()) {}

  bool done() const { return done_; }
  // What it waits for, of `peer()`.
  const SharedCounter& counter() const { return box().taken; }
  std::uint32_t target() const { return box().written.value() + 1 - Mailbox::parcels; }
  int peer() const { return to_.rank; }

  bool step() {
    const std::uint32_t number = box().written.value();
    if (!counter().reached(target())) return false;
    const std::size_t bytes = std::min(layout_.parcel_bytes(), in_.bytes() - sent_);
    box().contents[number % Mailbox::parcels] = {to_.message, in_.count, in_.dtype};
    transfer(layout_.parcel(base_, me_, to_.rank, number), bytes_of(in_.data) + sent_, bytes);
    box().written.advance_to(number + 1);
    sent_ += bytes;
    done_ = sent_ == in_.bytes();
    return true;
  }

 private:
  Mailbox& box() const { return layout_.mailbox(base_, me_, to_.rank); }

  const Layout& layout_;
  std::byte* base_;
  ConstBufferView in_;
  Backend::Endpoint to_;
  int me_;
  std::size_t sent_ = 0;
  bool done_ = to_.rank < 0;
};

class Receiving {
 public:
  Receiving(Group& group, BufferView out, Backend::Endpoint from, const Backend::Call& call)
      : group_(group),
        layout_(group.layout()),
        base_(group.segment().base()),
        out_(out),
        from_(from),
        call_(call) {}

  bool done() const { return done_; }
  const SharedCounter& counter() const { return box().written; }
  std::uint32_t target() const { return box().taken.value() + 1; }
  int peer() const { return from_.rank; }

  bool step() {
    const std::uint32_t number = box().taken.value();
    if (!counter().reached(target())) return false;
    check(box().contents[number % Mailbox::parcels]);
    const std::size_t bytes = std::min(layout_.parcel_bytes(), out_.bytes() - received_);
    transfer(bytes_of(out_.data) + received_, layout_.parcel(base_, from_.rank, group_.rank(), number),
             bytes);
    box().taken.advance_to(number + 1);
    received_ += bytes;
    done_ = received_ == out_.bytes();
    return true;
  }

 private:
  Mailbox& box() const { return layout_.mailbox(base_, from_.rank, group_.rank()); }

  void check(const Mailbox::Parcel& parcel) const {
    if (parcel.count == out_.count && parcel.dtype == out_.dtype && parcel.sequence == from_.message) return;
    group_.fail(call_, Failure::Kind::comm, from_.rank,
                fmt::format("rank {} sent {}[{}] as message {}, rank {} expects {}[{}]", from_.rank,
                            name_of(parcel.dtype), parcel.count, parcel.sequence, group_.rank(),
                            name_of(out_.dtype), out_.count));
  }

  Group& group_;
  const Layout& layout_;
  std::byte* base_;
  BufferView out_;
  Backend::Endpoint from_;
  const Backend::Call& call_;
  std::size_t received_ = 0;
  bool done_ = from_.rank < 0;
};

}  // namespace

Work SharedBackend::send_recv(ConstBufferView in, Endpoint to, BufferView out, Endpoint from,
                              const Call& call) {
  group_.begin(call);
  if (to.rank == rank()) {
    transfer(bytes_of(out.data), bytes_of(in.data), in.bytes());
    return {};
  }
  Sending sending(group_, in, to);
  Receiving receiving(group_, out, from, call);
  while (!sending.done() || !receiving.done()) {
    const bool sent = !sending.done() && sending.step();
    const bool received = !receiving.done() && receiving.step();
    if (sent || received) continue;
    if (sending.done())
      group_.wait(receiving.counter(), receiving.target(), receiving.peer(), call);
    else
      group_.wait(sending.counter(), sending.target(), sending.peer(), call);
  }
  return {};
}

}  // namespace tutti::comm
