// Memory that a collective is measured on.
#pragma once

#include <memory>

#include "benchmarks/collective.h"
#include "benchmarks/settings.h"

namespace tutti::bench {

enum class Place { private_memory, registered };

class Buffer {
 public:
  Buffer() = default;
  // Registered memory comes from Communicator::allocate. Private memory is of huge pages in a run that
  // says so in its environment.
  Buffer(Communicator& comm, std::size_t count, DType dtype, Place place);
  BufferView view() const { return view_; }

 private:
  std::shared_ptr<void> memory_;
  BufferView view_;
};

// For the environment of a run.
inline constexpr auto huge_pages_variable = "TUTTI_BENCH_HUGE_PAGES";

// What one rank calls a collective with, in either form, for a larger buffer of about `bytes`.
class Buffers {
 public:
  Buffers(Communicator& comm, const Collective& collective, const Settings& settings, std::size_t bytes,
          Place place);
  Operands out_of_place() const { return {in_.view(), out_.view(), false}; }
  Operands in_place() const;
  std::size_t bytes() const { return bytes_; }  // of the larger one
  std::size_t count() const { return bytes_ / size_of(out_.view().dtype); }

 private:
  bool own_block_;  // of an output with a block for each rank, in place
  int rank_;
  std::size_t block_;  // elements of a block
  std::size_t bytes_;
  Buffer in_, out_;
};

}  // namespace tutti::bench
