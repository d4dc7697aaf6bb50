// Messages between two ranks, parcel by parcel through their mailbox.
#include <fmt/format.h>

#include "comm/shared/backend.h"
#include "comm/shared/slice.h"

namespace tutti::comm {

Work SharedBackend::send(ConstBufferView in, int to, const Call& call) {
  const Layout& layout = group_.layout();
  Mailbox& box = layout.mailbox(segment_->base(), rank(), to);
  group_.begin(call);
  std::size_t sent = 0;
  do {
    const std::uint32_t number = box.written.value();
    group_.wait(box.taken, number + 1 - Mailbox::parcels, to, call);
    const std::size_t bytes = std::min(layout.parcel_bytes(), in.bytes() - sent);
    box.contents[number % Mailbox::parcels] = {call.sequence, in.count, in.dtype};
    transfer(layout.parcel(segment_->base(), rank(), to, number), bytes_of(in.data) + sent, bytes);
    box.written.advance_to(number + 1);
    sent += bytes;
  } while (sent < in.bytes());
  return {};
}

Work SharedBackend::recv(BufferView out, int from, const Call& call) {
  const Layout& layout = group_.layout();
  Mailbox& box = layout.mailbox(segment_->base(), from, rank());
  group_.begin(call);
  std::size_t received = 0;
  do {
    const std::uint32_t number = box.taken.value();
    group_.wait(box.written, number + 1, from, call);
    const Mailbox::Parcel& parcel = box.contents[number % Mailbox::parcels];
    if (parcel.count != out.count || parcel.dtype != out.dtype || parcel.sequence != call.sequence) {
      group_.fail(call, Failure::Kind::comm, from,
                  fmt::format("rank {} sent {}[{}] as message {}, rank {} expects {}[{}]", from,
                              name_of(parcel.dtype), parcel.count, parcel.sequence, rank(),
                              name_of(out.dtype), out.count));
    }
    const std::size_t bytes = std::min(layout.parcel_bytes(), out.bytes() - received);
    transfer(bytes_of(out.data) + received, layout.parcel(segment_->base(), from, rank(), number), bytes);
    box.taken.advance_to(number + 1);
    received += bytes;
  } while (received < out.bytes());
  return {};
}

}  // namespace tutti::comm
