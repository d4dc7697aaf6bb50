// A random mix of collectives, the same on all ranks, each result of which is known and compared bit for bit.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tutti/comm/communicator.h"

namespace tutti::test {

class Mix {
 public:
  // Ranks of one group that give the same seed do the same.
  Mix(Communicator& comm, std::uint32_t seed);

  // One collective or a few that overlap, of 4 B to 2 MB a rank, in memory of the communicator's or of the heap.
  // Throws std::logic_error for a wrong result.
  void step();

 private:
  using Int = std::int32_t;

  std::uint32_t below(std::uint32_t end) { return static_cast<std::uint32_t>(random_() % end); }
  int any_rank() { return static_cast<int>(below(static_cast<std::uint32_t>(ranks_))); }
  void all_reduce();
  void reduce_scatter();
  void all_gather();
  void broadcast();
  void all_to_all();
  void gather();
  void scatter();
  void messages();
  void split();
  void overlapped();

  // What rank `rank` has at `i` in the step under way.
  Int value(int rank, std::size_t i) const;
  Int sum(std::size_t i) const;
  void fill(std::size_t count);
  template <typename Expected>
  void check(const char* what, std::size_t count, Expected expected) const;

  ConstBufferView in(std::size_t count) const { return {in_, count, DType::i32}; }
  BufferView out(std::size_t count) const { return {out_, count, DType::i32}; }

  Communicator& comm_;
  std::mt19937 random_;
  std::uint32_t steps_ = 0;
  std::size_t ranks_;
  std::size_t count_ = 0;  // of a block
  std::vector<Int> heap_;
  std::shared_ptr<void> registered_;
  Int* in_ = nullptr;
  Int* out_ = nullptr;
};

}  // namespace tutti::test
