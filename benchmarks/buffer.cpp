#include "benchmarks/buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace tutti::bench {
namespace {

constexpr std::size_t huge_page = 2 << 20;

std::shared_ptr<void> private_memory(std::size_t bytes) {
  const bool huge = std::getenv(huge_pages_variable) && bytes >= huge_page;
  const std::size_t alignment = huge ? huge_page : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded);
  if (!memory) throw std::bad_alloc();
  if (huge) madvise(memory, rounded, MADV_HUGEPAGE);
  std::memset(memory, 0, bytes);
  return {memory, std::free};
}

// Elements of one block, where the larger buffer is of about `bytes`.
std::size_t block_of(const Collective& collective, int ranks, DType dtype, std::size_t bytes) {
  if (!collective.sized) return 0;
  const bool divided = collective.in_per_rank || collective.out_per_rank;
  return std::max<std::size_t>(1, bytes / size_of(dtype) / static_cast<std::size_t>(divided ? ranks : 1));
}

}  // namespace

Buffer::Buffer(Communicator& comm, std::size_t count, DType dtype, Place place) {
  const auto bytes = std::max<std::size_t>(1, count * size_of(dtype));
  memory_ = place == Place::registered ? comm.allocate(bytes) : private_memory(bytes);
  view_ = {memory_.get(), count, dtype};
}

Buffers::Buffers(Communicator& comm, const Collective& collective, const Settings& settings,
                 std::size_t bytes, Place place)
    : own_block_(collective.out_per_rank && !collective.in_per_rank),
      rank_(comm.rank()),
      block_(block_of(collective, comm.size(), settings.dtype, bytes)) {
  const auto ranks = static_cast<std::size_t>(comm.size());
  const auto elements = [&](bool per_rank) { return per_rank ? block_ * ranks : block_; };
  out_ = Buffer(comm, elements(collective.out_per_rank), settings.dtype, place);
  if (collective.out_of_place) in_ = Buffer(comm, elements(collective.in_per_rank), settings.dtype, place);
  bytes_ = elements(collective.in_per_rank || collective.out_per_rank) * size_of(settings.dtype);
}

Operands Buffers::in_place() const {
  const auto out = out_.view();
  if (!own_block_) return {out, out, true};
  auto* const own =
      static_cast<std::byte*>(out.data) + static_cast<std::size_t>(rank_) * block_ * size_of(out.dtype);
  return {BufferView(own, block_, out.dtype), out, true};
}

}  // namespace tutti::bench
