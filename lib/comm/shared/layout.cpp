#include "comm/shared/layout.h"

#include <algorithm>

namespace tutti::comm {
namespace {

constexpr std::size_t page = 4096;
// Together; what is left of it for a pair bounds its parcels.
constexpr std::size_t parcel_budget = 16 * 1024 * 1024;

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

Layout::Layout(int size) : size_(size) {
  const auto ranks = static_cast<std::size_t>(size);
  const std::size_t pairs = ranks * ranks;
  const std::size_t share = parcel_budget / pairs / Mailbox::parcels / page * page;
  parcel_bytes_ = std::clamp(share, page, 16 * page);
  slots_ = round_up(sizeof(Header), cache_line);
  mailboxes_ = slots_ + ranks * sizeof(Slot);
  staging_ = round_up(mailboxes_ + pairs * sizeof(Mailbox), page);
  parcels_ = staging_ + ranks * 2 * half_bytes;
  bytes_ = parcels_ + pairs * Mailbox::parcels * parcel_bytes_;
}

std::size_t Layout::pair(int from, int to) const {
  return static_cast<std::size_t>(from) * static_cast<std::size_t>(size_) + static_cast<std::size_t>(to);
}

Slot& Layout::slot(std::byte* base, int rank) const { return reinterpret_cast<Slot*>(base + slots_)[rank]; }

Mailbox& Layout::mailbox(std::byte* base, int from, int to) const {
  return reinterpret_cast<Mailbox*>(base + mailboxes_)[pair(from, to)];
}

std::byte* Layout::parcel(std::byte* base, int from, int to, std::uint32_t number) const {
  return base + parcels_ + (pair(from, to) * Mailbox::parcels + number % Mailbox::parcels) * parcel_bytes_;
}

std::byte* Layout::staging(std::byte* base, int rank, int half) const {
  return base + staging_ + (static_cast<std::size_t>(rank) * 2 + static_cast<std::size_t>(half)) * half_bytes;
}

}  // namespace tutti::comm
