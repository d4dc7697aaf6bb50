#include "comm/mpi/reduce.h"

#include <algorithm>
#include <numeric>

#include "comm/mpi/engine.h"

namespace tutti::comm {
namespace {

std::vector<int> everyone(const MpiGroup& group) {
  std::vector<int> ranks(static_cast<std::size_t>(group.size()));
  std::iota(ranks.begin(), ranks.end(), 0);
  return ranks;
}

bool engines_own(const Signature& signature, ReduceOp op) {
  return signature.order == ReduceOrder::any && engine_has(signature.dtype, op);
}

// One round: everybody sends its whole part to whoever needs it, and combines what came. `block_of(rank)` is
// what `rank` gets of this rank's input.
template <typename BlockOf>
void at_once(MpiGroup& group, const Running& running, const Signature& signature, BlockOf block_of,
             BufferView out, ReduceOp op) {
  const auto size = static_cast<std::size_t>(group.size());
  std::vector<std::byte> partials(out.bytes() * size);
  std::vector<const void*> parts(size);
  std::vector<Link> links;
  for (int step = 0; step < group.size(); ++step) {
    const int rank = (group.rank() + step) % group.size();
    std::byte* const partial = partials.data() + out.bytes() * static_cast<std::size_t>(rank);
    parts[static_cast<std::size_t>(rank)] = step == 0 ? block_of(rank) : partial;
    if (step > 0) links.push_back({rank, {block_of(rank), out.bytes()}, {partial, out.bytes()}});
  }
  group.exchange(running, signature, links);
  kernels::Combine::cpu(op, out.dtype, out.count, parts, out.data);
}

void meet(MpiGroup& group, const Running& running, const Signature& signature) {
  std::vector<Link> links;
  for (int step = 1; step < group.size(); ++step) links.push_back({(group.rank() + step) % group.size()});
  group.exchange(running, signature, links);
}

}  // namespace

Reduction::Reduction(MpiGroup& group, const Running& running, std::span<const int> members, DType dtype,
                     ReduceOp op)
    : group_(group),
      running_(running),
      members_(members),
      me_(static_cast<std::size_t>(std::find(members.begin(), members.end(), group.rank()) -
                                   members.begin())),
      dtype_(dtype),
      op_(op),
      width_(size_of(dtype)) {}

void mpi_reduce_scatter(MpiGroup& group, const Running& running, const Signature& signature,
                        ConstBufferView in, BufferView out, ReduceOp op) {
  const auto* from = static_cast<const std::byte*>(in.data);
  if (out.bytes() <= MpiGroup::eager_bytes) {
    const auto block_of = [&](int rank) { return from + out.bytes() * static_cast<std::size_t>(rank); };
    return at_once(group, running, signature, block_of, out, op);
  }
  meet(group, running, signature);
  if (engines_own(signature, op) && engine_reduce_scatter(group, running, in, out, op)) return;
  const auto members = everyone(group);
  Reduction reduction(group, running, members, out.dtype, op);
  auto* to = static_cast<std::byte*>(out.data);
  const auto width = size_of(out.dtype);
  const auto piece = piece_bytes / width;
  for (std::size_t begin = 0; begin < out.count; begin += piece) {
    const Range within{begin, std::min(begin + piece, out.count)};
    reduction.scatter(from, to + begin * width, [&](std::size_t rank) {
      return Range{out.count * rank + within.begin, out.count * rank + within.end};
    });
  }
}

void mpi_all_reduce(MpiGroup& group, const Running& running, const Signature& signature, ConstBufferView in,
                    BufferView out, ReduceOp op) {
  const auto* from = static_cast<const std::byte*>(in.data);
  if (out.bytes() <= MpiGroup::eager_bytes) {
    return at_once(
        group, running, signature, [&](int) { return from; }, out, op);
  }
  meet(group, running, signature);
  if (engines_own(signature, op)) return engine_all_reduce(group, running, in, out, op);
  const auto members = everyone(group);
  Reduction reduction(group, running, members, out.dtype, op);
  auto* to = static_cast<std::byte*>(out.data);
  const auto width = size_of(out.dtype);
  const auto piece = piece_bytes / width * members.size();
  for (std::size_t begin = 0; begin < out.count; begin += piece) {
    const Range whole{begin, std::min(begin + piece, out.count)};
    const auto range_of = [&](std::size_t rank) { return share(whole, rank, members.size()); };
    reduction.scatter(from, to + range_of(reduction.me()).begin * width, range_of);
    reduction.gather(to, width, range_of);
  }
}

}  // namespace tutti::comm
