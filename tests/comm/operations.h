// Every collective, callable with arguments of one shape, of which some can be made wrong.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "tutti/comm/communicator.h"

namespace tutti::test {

// Two buffers, each with room for a block for each rank and one element more in each.
struct Memory {
  // Of the heap, or of the communicator's.
  Memory(Communicator& comm, std::size_t count, bool registered);

  std::size_t count;
  std::shared_ptr<void> owner;
  std::byte* in;
  std::byte* out;
};

struct Arguments {
  std::size_t count = 1;  // of a block
  DType dtype = DType::f32;
  ReduceOp op = ReduceOp::sum;
  int root = 0;
  bool null = false;     // instead of the first buffer
  bool overlap = false;  // of the two buffers
};

struct Operation {
  const char* name;
  const char* other_name;  // of the call that may fail in its place
  bool has_elements;
  bool has_in;   // on every rank
  bool has_out;  // as well, on every rank
  bool reduces;
  bool has_root;
  bool is_message;
  void (*call)(Communicator&, const Memory&, const Arguments&);

  bool is_called(std::string_view collective) const { return collective == name || collective == other_name; }
};

const std::vector<Operation>& operations();

}  // namespace tutti::test
