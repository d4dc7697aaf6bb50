#include "comm/nccl/reduce.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "comm/nccl/batch.h"
#include "kernels/combine.h"

namespace tutti::comm {
namespace {

constexpr std::size_t small_bytes = 64 * 1024;  // below it, one exchange of everything beats two of slices
constexpr std::size_t line = 128;               // slices begin at multiples of it

class TreeReduction {
 public:
  TreeReduction(NcclGroup& group, const NcclCall& running, DType dtype, ReduceOp op)
      : group_(group), running_(running), dtype_(dtype), op_(op), workspace_(group.workspace()) {}

  // Elements of each rank's part that the workspace has room for.
  std::size_t room() const {
    return NcclGroup::workspace_bytes / (size_of(dtype_) * ranks()) / align() * align();
  }
  std::size_t ranks() const { return static_cast<std::size_t>(group_.size()); }
  std::size_t align() const { return line / size_of(dtype_); }

  // `out` receives the reduction of the `count` elements that every rank has at `in + r * stride` for this rank r.
  void scatter(const std::byte* in, std::size_t stride, std::size_t count, std::byte* out) {
    const std::size_t bytes = count * size_of(dtype_);
    group_.issue(running_, [&](ncclComm_t comm) {
      Batch batch(comm, group_.stream());
      // Every rank begins with another one.
      for (int step = 1; step < group_.size(); ++step) {
        const int to = (group_.rank() + step) % group_.size();
        const int from = (group_.rank() + group_.size() - step) % group_.size();
        batch.send(in + static_cast<std::size_t>(to) * stride, bytes, to);
        batch.receive(part(from, bytes), bytes, from);
      }
      return batch.end();
    });
    combine(in + static_cast<std::size_t>(group_.rank()) * stride, count, out);
  }

  // Every rank receives all the parts and reduces them itself.
  void everywhere(const std::byte* in, std::size_t count, std::byte* out) {
    const std::size_t bytes = count * size_of(dtype_);
    group_.issue(running_, [&](ncclComm_t comm) {
      return ncclAllGather(in, workspace_, bytes, ncclUint8, comm, group_.stream());
    });
    combine(part(group_.rank(), bytes), count, out);
  }

  // Rank r has the elements [r * count, (r + 1) * count) of `buffer`, and afterwards all have all of them.
  void gather(std::byte* buffer, std::size_t count) {
    const std::size_t bytes = count * size_of(dtype_);
    group_.issue(running_, [&](ncclComm_t comm) {
      return ncclAllGather(buffer + static_cast<std::size_t>(group_.rank()) * bytes, buffer, bytes, ncclUint8,
                           comm, group_.stream());
    });
  }

 private:
  std::byte* part(int rank, std::size_t bytes) const {
    return workspace_ + static_cast<std::size_t>(rank) * bytes;
  }

  void combine(const std::byte* mine, std::size_t count, std::byte* out) {
    std::vector<const void*> parts(ranks());
    for (int rank = 0; rank < group_.size(); ++rank) {
      parts[static_cast<std::size_t>(rank)] =
          rank == group_.rank() ? mine : part(rank, count * size_of(dtype_));
    }
    kernels::Combine::cuda(op_, dtype_, count, parts, out, group_.stream());
  }

  NcclGroup& group_;
  const NcclCall& running_;
  DType dtype_;
  ReduceOp op_;
  std::byte* workspace_;
};

}  // namespace

void nccl_tree_reduce_scatter(NcclGroup& group, const NcclCall& running, ConstBufferView in, BufferView out,
                              ReduceOp op) {
  TreeReduction reduction(group, running, out.dtype, op);
  const auto* from = static_cast<const std::byte*>(in.data);
  auto* to = static_cast<std::byte*>(out.data);
  const std::size_t width = size_of(out.dtype);
  for (std::size_t done = 0; done < out.count; done += reduction.room()) {
    reduction.scatter(from + done * width, out.bytes(), std::min(reduction.room(), out.count - done),
                      to + done * width);
  }
}

// `in` may be `out`: a rank overwrites its own slice, which no peer is sent, and the others' after the stream has
// sent them.
void nccl_tree_all_reduce(NcclGroup& group, const NcclCall& running, ConstBufferView in, BufferView out,
                          ReduceOp op) {
  TreeReduction reduction(group, running, out.dtype, op);
  const auto* from = static_cast<const std::byte*>(in.data);
  auto* to = static_cast<std::byte*>(out.data);
  const std::size_t width = size_of(out.dtype);
  for (std::size_t done = 0; done < out.count;) {
    const std::size_t left = out.count - done;
    const std::size_t slice =
        std::min(left / reduction.ranks() / reduction.align() * reduction.align(), reduction.room());
    if (left * width <= small_bytes || slice == 0) {
      const std::size_t count = std::min(left, reduction.room());
      reduction.everywhere(from + done * width, count, to + done * width);
      done += count;
    } else {
      const std::size_t mine = done + static_cast<std::size_t>(group.rank()) * slice;
      reduction.scatter(from + done * width, slice * width, slice, to + mine * width);
      reduction.gather(to + done * width, slice);
      done += slice * reduction.ranks();
    }
  }
}

}  // namespace tutti::comm
