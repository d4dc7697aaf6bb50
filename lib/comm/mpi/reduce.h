// Reductions over MPI: the messages carry bytes, the arithmetic is Tutti's own, in its one order.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "comm/mpi/group.h"
#include "kernels/combine.h"
#include "tutti/core/buffer_view.h"

namespace tutti::comm {

// Of a buffer at a time: bounds the memory for partial sums.
constexpr std::size_t piece_bytes = std::size_t{4} << 20;

// Elements [begin, end) of a buffer.
struct Range {
  std::size_t begin, end;
  std::size_t count() const { return end - begin; }
};

// The part of `whole` that member `member` of `size` reduces.
inline Range share(Range whole, std::size_t member, std::size_t size) {
  const auto cut = [&](std::size_t m) { return whole.begin + whole.count() * m / size; };
  return {cut(member), cut(member + 1)};
}

// Reductions among some ranks of a group that have met, `members`, in their order.
class Reduction {
 public:
  Reduction(MpiGroup& group, const Running& running, std::span<const int> members, DType dtype, ReduceOp op);

  std::size_t size() const { return members_.size(); }
  // This rank's place among the members.
  std::size_t me() const { return me_; }

  // Every member sends `range_of(m)` of `in` to member m; `out` receives the reduction of those sent to this
  // rank.
  template <typename RangeOf>
  void scatter(const std::byte* in, std::byte* out, RangeOf range_of) {
    const auto mine = range_of(me_);
    const auto bytes = mine.count() * width_;
    partials_.resize(bytes * size());
    std::vector<const void*> parts(size());
    parts[me_] = in + mine.begin * width_;
    std::vector<Link> links;
    for (std::size_t step = 1; step < size(); ++step) {
      const std::size_t peer = (me_ + step) % size();
      const auto theirs = range_of(peer);
      parts[peer] = partials_.data() + bytes * peer;
      links.push_back({members_[peer],
                       {in + theirs.begin * width_, theirs.count() * width_},
                       {partials_.data() + bytes * peer, bytes}});
    }
    group_.transfer(running_, links);
    if (mine.count() > 0) kernels::Combine::cpu(op_, dtype_, mine.count(), parts, out);
  }

  // Member m has `range_of(m)` of `buffer`, of elements of `width` bytes, and afterwards all have all of them.
  template <typename RangeOf>
  void gather(std::byte* buffer, std::size_t width, RangeOf range_of) {
    const auto part = [&](std::size_t member) {
      const auto range = range_of(member);
      return std::span(buffer + range.begin * width, range.count() * width);
    };
    std::vector<Link> links;
    for (std::size_t step = 1; step < size(); ++step) {
      const std::size_t peer = (me_ + step) % size();
      links.push_back({members_[peer], part(me_), part(peer)});
    }
    group_.transfer(running_, links);
  }

 private:
  MpiGroup& group_;
  const Running& running_;
  std::span<const int> members_;
  std::size_t me_;
  DType dtype_;
  ReduceOp op_;
  std::size_t width_;
  std::vector<std::byte> partials_;
};

// Both meet the other ranks first.
void mpi_all_reduce(MpiGroup& group, const Running& running, const Signature& signature, ConstBufferView in,
                    BufferView out, ReduceOp op);
// Block r of `in`, size() blocks of `out.count` elements, reduced to rank r's `out`.
void mpi_reduce_scatter(MpiGroup& group, const Running& running, const Signature& signature,
                        ConstBufferView in, BufferView out, ReduceOp op);

}  // namespace tutti::comm
