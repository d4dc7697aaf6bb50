#include "comm/mpi/two_levels.h"

#include <fmt/format.h>

#include <string>

#include "comm/mpi/bytes.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

using std::chrono::milliseconds;

// For what a rank of the node that gave up has said over MPI.
constexpr milliseconds hearing(100);

// Without the name of the collective in front, which will be put there again.
std::string_view text_of(const CommError& error) {
  std::string_view text = error.what();
  const auto prefix = fmt::format("{} #{}: ", error.collective(), error.sequence());
  if (text.substr(0, prefix.size()) == prefix) text.remove_prefix(prefix.size());
  return text;
}

}  // namespace

TwoLevelBackend::TwoLevelBackend(std::unique_ptr<MpiGroup> group, const MpiOptions& options,
                                 std::unique_ptr<Backend> node)
    : MpiBackend(std::move(group), options), node_(std::move(node)) {
  for (int peer = node_->rank(); peer < size(); peer += node_->size()) rail_.push_back(peer);
  my_node_ = static_cast<std::size_t>(rank() / node_->size());
}

void TwoLevelBackend::node_failed(const Running& running, const CommError& error, bool timeout) {
  const int rank = error.rank() < 0 ? -1 : first_of(my_node_) + error.rank();
  if (timeout) {
    group().fail(running, rank, true,
                 fmt::format("rank {} has not arrived within {} ms", rank, running.timeout.count()));
  }
  // One that gave up for a failure elsewhere has told of it.
  group().hear(running, hearing);
  group().fail(running, rank, false,
               fmt::format("rank {}, which is rank {} on its machine, failed: {}", rank, error.rank(),
                           text_of(error)));
}

Running TwoLevelBackend::arrive(const Running& running, const Signature& signature) {
  const auto local = static_cast<std::size_t>(node_->size());
  std::vector<Signature> signatures(local, signature);
  on_node(running, [&](const Call& call) {
    // The same call on every rank, whatever they are about to do, so that it is this that finds the difference.
    const Call meeting{"meeting", ++meetings_, call.timeout};
    node_
        ->all_gather(ConstBufferView(&signature, sizeof signature, DType::u8),
                     BufferView(signatures.data(), local * sizeof signature, DType::u8), meeting)
        .wait();
  });
  std::vector<int> ranks(local);
  for (std::size_t i = 0; i < local; ++i) ranks[i] = first_of(my_node_) + static_cast<int>(i);
  group().compare(running, ranks, signatures);
  return running.patient();
}

void TwoLevelBackend::gave_up() { node_->abort("a rank elsewhere failed"); }

void TwoLevelBackend::abort(std::string_view reason) {
  MpiBackend::abort(reason);
  node_->abort(reason);
}

Work TwoLevelBackend::barrier(const Call& call) {
  return run(call, make_signature(call, 0, DType::u8),
             [&](const Running& running, const Signature& signature) {
               // Each of the rail comes when its node has met: then all have.
               group().exchange(running, signature,
                                links([](auto) { return ConstBytes(); }, [](auto) { return Bytes(); }));
             });
}

Work TwoLevelBackend::all_gather(ConstBufferView in, BufferView out, const Call& call) {
  return run(call, make_signature(call, in.count, in.dtype),
             [&](const Running& running, const Signature& signature) {
               const auto mine = block(in, in.bytes(), 0);
               const auto place = [&](int rank) { return block(out, in.bytes(), rank); };
               group().exchange(
                   running, signature,
                   links([&](auto) { return mine; }, [&](auto node) { return place(rail_[node]); }));
               copy(place(rank()), mine);
               // What the rail brought of each node, to the others here.
               const auto local = static_cast<std::size_t>(node_->size());
               for (std::size_t node = 0; node < nodes(); ++node) {
                 const auto part = place(rail_[node]);
                 const auto whole = place(first_of(node));
                 on_node(running.patient(), [&](const Call& here) {
                   node_
                       ->all_gather({part.data(), in.count, in.dtype},
                                    {whole.data(), in.count * local, in.dtype}, here)
                       .wait();
                 });
               }
             });
}

Work TwoLevelBackend::broadcast(BufferView buffer, int root, const Call& call) {
  return run(call, rooted(call, buffer, root), [&](const Running& running, const Signature& signature) {
    const auto all = block(buffer, buffer.bytes(), 0);
    const bool on_rail = root % node_->size() == node_->rank();
    const auto root_node = static_cast<std::size_t>(root / node_->size());
    group().exchange(running, signature,
                     links([&](auto) { return rank() == root ? ConstBytes(all) : ConstBytes(); },
                           [&](auto node) { return on_rail && node == root_node ? all : Bytes(); }));
    on_node(running.patient(),
            [&](const Call& here) { node_->broadcast(buffer, root % node_->size(), here).wait(); });
  });
}

}  // namespace tutti::comm
