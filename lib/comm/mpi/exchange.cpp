// How the ranks of a group meet and pass bytes around.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "comm/mpi/group.h"

namespace tutti::comm {
namespace {

constexpr int data_tag = 1;
constexpr int meeting_tag = 2;
constexpr int sender_tag = 4;
constexpr int receiver_tag = 5;

bool eager(std::size_t bytes) { return bytes <= MpiGroup::eager_bytes; }

// Of a message, the same on both sides.
Signature message(Backend::Endpoint end, ConstBufferView buffer) {
  return make_signature({"message", end.message, {}}, buffer.count, buffer.dtype);
}

}  // namespace

void MpiGroup::exchange(const Running& running, const Signature& mine, std::span<const Link> links) {
  sent_.resize(std::max(sent_.size(), links.size()));
  received_.resize(std::max(received_.size(), links.size()));
  // All memory is taken before the others hear of this rank: once they have, they are done.
  std::vector<int> ranks;
  ranks.reserve(links.size() + 1);
  std::vector<Signature> signatures;
  signatures.reserve(links.size() + 1);
  std::vector<Link> large;
  large.reserve(links.size());
  auto messages = requests();
  for (std::size_t i = 0; i < links.size(); ++i) {
    messages.receive(&received_[i], sizeof(Envelope), links[i].rank, meeting_tag);
  }
  for (std::size_t i = 0, same = 0; i < links.size(); ++i) {
    const auto& [rank, out, in] = links[i];
    const std::size_t bytes = eager(out.size()) ? out.size() : 0;
    const bool repeats =
        i > 0 && out.data() == links[same].out.data() && out.size() == links[same].out.size();
    if (!repeats) {
      same = i;
      sent_[i].signature = mine;
      if (bytes > 0) std::memcpy(sent_[i].bytes, out.data(), bytes);
    }
    messages.send(&sent_[same], offsetof(Envelope, bytes) + bytes, rank, meeting_tag);
  }
  finish(messages, running);

  ranks.push_back(rank_);
  signatures.push_back(mine);
  for (std::size_t i = 0; i < links.size(); ++i) {
    const auto place = std::lower_bound(ranks.begin(), ranks.end(), links[i].rank) - ranks.begin();
    ranks.insert(ranks.begin() + place, links[i].rank);
    signatures.insert(signatures.begin() + place, received_[i].signature);
  }
  compare(running, ranks, signatures);
  for (std::size_t i = 0; i < links.size(); ++i) {
    const auto& in = links[i].in;
    if (!in.empty() && eager(in.size())) std::memcpy(in.data(), received_[i].bytes, in.size());
  }

  for (auto [rank, out, in] : links) {
    if (eager(out.size())) out = {};
    if (eager(in.size())) in = {};
    if (!out.empty() || !in.empty()) large.push_back({rank, out, in});
  }
  if (!large.empty()) transfer(running, large);
}

void MpiGroup::transfer(const Running& running, std::span<const Link> links) {
  auto messages = requests();
  for (const auto& [rank, out, in] : links) {
    if (!in.empty()) messages.receive(in.data(), in.size(), rank, data_tag);
  }
  for (const auto& [rank, out, in] : links) {
    if (!out.empty()) messages.send(out.data(), out.size(), rank, data_tag);
  }
  finish(messages, running);
}

void MpiGroup::exchange(const Running& running, ConstBufferView in, Backend::Endpoint to, BufferView out,
                        Backend::Endpoint from) {
  const Signature sending = message(to, in), receiving = message(from, out);
  Signature wanted = sending;
  Envelope outgoing, incoming;
  outgoing.signature = sending;
  incoming.signature = receiving;
  const bool eager_out = eager(in.bytes()), eager_in = eager(out.bytes());
  auto messages = requests();
  if (to.rank >= 0) {
    if (eager_out && in.count > 0) std::memcpy(outgoing.bytes, in.data, in.bytes());
    messages.receive(&wanted, sizeof wanted, to.rank, receiver_tag);
    messages.send(&outgoing, offsetof(Envelope, bytes) + (eager_out ? in.bytes() : 0), to.rank, sender_tag);
  }
  if (from.rank >= 0) {
    messages.receive(&incoming, sizeof incoming, from.rank, sender_tag);
    messages.send(&receiving, sizeof receiving, from.rank, receiver_tag);
  }
  finish(messages, running);
  const auto agree = [&](const Signature& here, const Signature& there, int peer) {
    if (here.matches(there)) return;
    fail(running, peer, false,
         fmt::format("rank {} called {}, rank {} called {}", rank_, here.str(), peer, there.str()));
  };
  agree(sending, wanted, to.rank);
  agree(receiving, incoming.signature, from.rank);
  if (eager_in && out.count > 0) std::memcpy(out.data, incoming.bytes, out.bytes());
  auto large = requests();
  if (!eager_in) large.receive(out.data, out.bytes(), from.rank, data_tag);
  if (!eager_out) large.send(in.data, in.bytes(), to.rank, data_tag);
  finish(large, running);
}

void MpiGroup::compare(const Running& running, std::span<const int> ranks,
                       std::span<const Signature> signatures) {
  const auto all_match = [&](const Signature& one) {
    return std::all_of(signatures.begin(), signatures.end(), [&](const auto& s) { return s.matches(one); });
  };
  if (all_match(signatures.front())) return;
  // The odd one out is the rank at fault: who differs from what most ranks call, the first deciding a tie.
  const auto votes = [&](const Signature& one) {
    return std::count_if(signatures.begin(), signatures.end(), [&](const auto& s) { return s.matches(one); });
  };
  const auto best =
      std::max_element(signatures.begin(), signatures.end(),
                       [&](const Signature& a, const Signature& b) { return votes(a) < votes(b); });
  const auto odd = std::find_if(signatures.begin(), signatures.end(),
                                [&](const Signature& one) { return !one.matches(*best); });
  const auto rank_of = [&](auto place) {
    return ranks[static_cast<std::size_t>(place - signatures.begin())];
  };
  fail(running, rank_of(odd), false,
       fmt::format("rank {} called {}, rank {} called {}", rank_of(odd), odd->str(), rank_of(best),
                   best->str()));
}

}  // namespace tutti::comm
