// The reductions of two levels.
#include <algorithm>
#include <bit>

#include "comm/mpi/bytes.h"
#include "comm/mpi/engine.h"
#include "comm/mpi/reduce.h"
#include "comm/mpi/two_levels.h"

namespace tutti::comm {

Work TwoLevelBackend::all_reduce(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  if (!two_levels_for(out, op, call.order)) return MpiBackend::all_reduce(in, out, op, call);
  return run(call, reducing(call, out, op), [&](const Running& running, const Signature& signature) {
    const Partial partial(out.dtype, op);
    if (out.count * size_of(partial.dtype) <= MpiGroup::eager_bytes)
      reduce_at_once(running, signature, partial, in, out);
    else
      reduce_in_pieces(running, signature, partial, in, out);
  });
}

Work TwoLevelBackend::reduce_scatter(ConstBufferView in, BufferView out, ReduceOp op, const Call& call) {
  if (!two_levels_for(out, op, call.order)) return MpiBackend::reduce_scatter(in, out, op, call);
  return run(call, reducing(call, out, op), [&](const Running& running, const Signature& signature) {
    reduce_blocks(running, signature, Partial(out.dtype, op), in, out);
  });
}

bool TwoLevelBackend::two_levels_for(BufferView out, ReduceOp op, ReduceOrder order) const {
  const bool engines =
      order == ReduceOrder::any && engine_has(out.dtype, op) && out.bytes() > MpiGroup::eager_bytes;
  // The node's ranks are then a subtree of the tree in which all ranks are summed.
  const bool subtrees = std::has_single_bit(static_cast<unsigned>(node_->size()));
  return !engines && (subtrees || order == ReduceOrder::any);
}

void TwoLevelBackend::reduce_at_once(const Running& running, const Signature& signature,
                                     const Partial& partial, ConstBufferView in, BufferView out) {
  const std::size_t bytes = out.count * size_of(partial.dtype);
  std::vector<std::byte> parts((nodes() + 1) * bytes);
  const auto part = [&](std::size_t node) { return Bytes(parts.data() + node * bytes, bytes); };
  const Bytes scratch = part(nodes());
  partial.widen(out.count, static_cast<const std::byte*>(in.data), scratch.data());
  on_node(running, [&](const Call& here) {
    node_
        ->all_reduce({scratch.data(), out.count, partial.dtype},
                     {part(my_node_).data(), out.count, partial.dtype}, partial.op, here)
        .wait();
  });
  group().exchange(running.patient(), signature, links([&](auto) { return part(my_node_); }, part));
  std::vector<const void*> sums(nodes());
  for (std::size_t node = 0; node < nodes(); ++node) sums[node] = part(node).data();
  kernels::Combine::cpu(partial.op, partial.dtype, out.count, sums, scratch.data());
  partial.round(out.count, scratch.data(), size(), static_cast<std::byte*>(out.data));
}

void TwoLevelBackend::reduce_in_pieces(const Running& running, const Signature& signature,
                                       const Partial& partial, ConstBufferView in, BufferView out) {
  const auto later = running.patient();
  group().exchange(running, signature,
                   links([](auto) { return ConstBytes(); }, [](auto) { return Bytes(); }));
  const auto local = static_cast<std::size_t>(node_->size());
  const std::size_t width = size_of(out.dtype), sum_width = size_of(partial.dtype);
  const auto* from = static_cast<const std::byte*>(in.data);
  auto* to = static_cast<std::byte*>(out.data);
  Reduction among_nodes(group(), running, rail_, partial.dtype, partial.op);
  std::vector<std::byte> staged, sums, results;
  const std::size_t piece = piece_bytes / sum_width * local;
  for (std::size_t begin = 0; begin < out.count; begin += piece) {
    const std::size_t count = std::min(piece, out.count - begin);
    const std::size_t each = (count + local - 1) / local;  // elements that a rank of the node sums
    const bool even = each * local == count;
    const std::byte* source = from + begin * width;
    if (!even || partial.dtype != out.dtype) {
      staged.resize(each * local * sum_width);
      partial.widen(count, source, staged.data());
      source = staged.data();
    }
    sums.resize(each * sum_width);
    on_node(later, [&](const Call& here) {
      node_
          ->reduce_scatter({source, each * local, partial.dtype}, {sums.data(), each, partial.dtype},
                           partial.op, here)
          .wait();
    });
    // The rounding comes before the second half of the way, which carries less for it.
    results.resize(even ? 0 : each * (local + 1) * width);
    std::byte* const whole = even ? to + begin * width : results.data();
    std::byte* const result = even ? whole + static_cast<std::size_t>(node_->rank()) * each * width
                                   : results.data() + each * local * width;
    const auto range_of = [&](std::size_t node) { return share({0, each}, node, nodes()); };
    const Range mine = range_of(my_node_);
    among_nodes.scatter(sums.data(), sums.data() + mine.begin * sum_width, range_of);
    partial.round(mine.count(), sums.data() + mine.begin * sum_width, size(), result + mine.begin * width);
    among_nodes.gather(result, width, range_of);
    on_node(later, [&](const Call& here) {
      node_->all_gather({result, each, out.dtype}, {whole, each * local, out.dtype}, here).wait();
    });
    if (!even) copy({to + begin * width, count * width}, {whole, count * width});
  }
}

void TwoLevelBackend::reduce_blocks(const Running& running, const Signature& signature,
                                    const Partial& partial, ConstBufferView in, BufferView out) {
  const auto local = static_cast<std::size_t>(node_->size());
  const std::size_t width = size_of(out.dtype), sum_width = size_of(partial.dtype);
  const std::size_t piece = piece_bytes / sum_width;
  std::vector<std::byte> staged, sent, received;
  std::size_t begin = 0;
  do {
    const std::size_t count = std::min(piece, out.count - begin);
    const Bytes nowhere;
    sent.resize(nodes() * count * sum_width);
    received.resize(nodes() * count * sum_width);
    const auto part = [&](std::vector<std::byte>& parts, std::size_t node) {
      return Bytes(parts.data() + node * count * sum_width, count * sum_width);
    };
    for (std::size_t node = 0; node < nodes(); ++node) {
      const auto block_of = [&](std::size_t i) {
        return block(in, out.bytes(), first_of(node) + static_cast<int>(i)).data() + begin * width;
      };
      const std::byte* source = block_of(0);
      if (count != out.count || partial.dtype != out.dtype) {
        staged.resize(local * count * sum_width);
        for (std::size_t i = 0; i < local; ++i) {
          partial.widen(count, block_of(i), staged.data() + i * count * sum_width);
        }
        source = staged.data();
      }
      on_node(running.patient(), [&](const Call& here) {
        node_
            ->reduce_scatter({source, count * local, partial.dtype},
                             {part(sent, node).data(), count, partial.dtype}, partial.op, here)
            .wait();
      });
    }
    const auto rails =
        links([&](auto node) { return part(sent, node); }, [&](auto node) { return part(received, node); });
    if (begin == 0)
      group().exchange(running, signature, rails);
    else
      group().transfer(running, rails);
    std::vector<const void*> sums(nodes());
    for (std::size_t node = 0; node < nodes(); ++node) {
      sums[node] = part(node == my_node_ ? sent : received, node).data();
    }
    kernels::Combine::cpu(partial.op, partial.dtype, count, sums, received.data());
    partial.round(count, received.data(), size(), static_cast<std::byte*>(out.data) + begin * width);
    begin += count;
  } while (begin < out.count);
}

}  // namespace tutti::comm
