#include "comm/mpi/reduce.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "kernels/combine.h"

namespace tutti::comm {
namespace {

constexpr std::size_t piece_bytes = std::size_t{4}
                                    << 20;  // of a buffer at a time: bounds the memory for partial sums

// Elements [begin, end) of a buffer.
struct Range {
  std::size_t begin, end;
  std::size_t count() const { return end - begin; }
};

// The part of `whole` that rank `rank` of `size` reduces.
Range share(Range whole, int rank, int size) {
  const auto cut = [&](int r) {
    return whole.begin + whole.count() * static_cast<std::size_t>(r) / static_cast<std::size_t>(size);
  };
  return {cut(rank), cut(rank + 1)};
}

class Reduction {
 public:
  Reduction(MpiGroup& group, const Running& running, DType dtype, ReduceOp op)
      : group_(group), running_(running), dtype_(dtype), op_(op), width_(size_of(dtype)) {}

  // Every rank sends `range_of(p)` of `in` to rank p; `out` receives the reduction of those sent to this
  // rank.
  template <typename RangeOf>
  void scatter(const std::byte* in, std::byte* out, RangeOf range_of) {
    const auto mine = range_of(group_.rank());
    const auto size = static_cast<std::size_t>(group_.size());
    partials_.resize(mine.count() * width_ * size);
    std::vector<const void*> parts(size);
    auto messages = group_.requests();
    for (int rank = 0; rank < group_.size(); ++rank) {
      auto* partial = partials_.data() + mine.count() * width_ * static_cast<std::size_t>(rank);
      const bool here = rank == group_.rank();
      parts[static_cast<std::size_t>(rank)] = here ? in + mine.begin * width_ : partial;
      if (!here && mine.count() > 0)
        messages.receive(partial, mine.count() * width_, rank, MpiGroup::data_tag);
    }
    for (int step = 1; step < group_.size(); ++step) {
      const int rank = (group_.rank() + step) % group_.size();
      const auto theirs = range_of(rank);
      if (theirs.count() > 0) {
        messages.send(in + theirs.begin * width_, theirs.count() * width_, rank, MpiGroup::data_tag);
      }
    }
    group_.finish(messages, running_);
    if (mine.count() > 0) kernels::Combine::cpu(op_, dtype_, mine.count(), parts, out);
  }

  // Rank r has `range_of(r)` of `buffer`, and afterwards all have all of them.
  template <typename RangeOf>
  void gather(std::byte* buffer, RangeOf range_of) {
    const auto mine = range_of(group_.rank());
    auto messages = group_.requests();
    for (int step = 1; step < group_.size(); ++step) {
      const int from = (group_.rank() + group_.size() - step) % group_.size();
      const auto theirs = range_of(from);
      if (theirs.count() > 0) {
        messages.receive(buffer + theirs.begin * width_, theirs.count() * width_, from, MpiGroup::data_tag);
      }
    }
    for (int step = 1; step < group_.size() && mine.count() > 0; ++step) {
      const int to = (group_.rank() + step) % group_.size();
      messages.send(buffer + mine.begin * width_, mine.count() * width_, to, MpiGroup::data_tag);
    }
    group_.finish(messages, running_);
  }

 private:
  MpiGroup& group_;
  const Running& running_;
  DType dtype_;
  ReduceOp op_;
  std::size_t width_;
  std::vector<std::byte> partials_;
};

}  // namespace

void mpi_reduce_scatter(MpiGroup& group, const Running& running, ConstBufferView in, BufferView out,
                        ReduceOp op) {
  Reduction reduction(group, running, out.dtype, op);
  const auto* from = static_cast<const std::byte*>(in.data);
  auto* to = static_cast<std::byte*>(out.data);
  const auto width = size_of(out.dtype);
  const auto piece = piece_bytes / width;
  for (std::size_t begin = 0; begin < out.count; begin += piece) {
    const Range within{begin, std::min(begin + piece, out.count)};
    reduction.scatter(from, to + begin * width, [&](int rank) {
      const auto block = out.count * static_cast<std::size_t>(rank);
      return Range{block + within.begin, block + within.end};
    });
  }
}

void mpi_all_reduce(MpiGroup& group, const Running& running, ConstBufferView in, BufferView out,
                    ReduceOp op) {
  Reduction reduction(group, running, out.dtype, op);
  const auto* from = static_cast<const std::byte*>(in.data);
  auto* to = static_cast<std::byte*>(out.data);
  const auto width = size_of(out.dtype);
  const auto piece = piece_bytes / width * static_cast<std::size_t>(group.size());
  for (std::size_t begin = 0; begin < out.count; begin += piece) {
    const Range whole{begin, std::min(begin + piece, out.count)};
    const auto range_of = [&](int rank) { return share(whole, rank, group.size()); };
    reduction.scatter(from, to + range_of(group.rank()).begin * width, range_of);
    reduction.gather(to, range_of);
  }
}

}  // namespace tutti::comm
