#include "checkpoint/outcome.h"

#include <algorithm>
#include <array>

namespace tutti::checkpoint {
namespace {

const OutOfMemory out_of_memory("checkpoint: out of memory", "");

// No length of a message.
constexpr std::int64_t no_memory = -1;

}  // namespace

void throw_out_of_memory() { throw OutOfMemory(out_of_memory); }

void give_up(Communicator& world) {
  try {
    world.abort("out of memory");
  } catch (...) {  // then they learn it by their deadline
  }
}

// All that is said without memory is said from the stack.
void together(Communicator& world, const std::string& file, Action action) {
  std::string message;
  std::int64_t length = 0;
  try {
    action();
  } catch (const std::bad_alloc&) {
    length = no_memory;
  } catch (const OutOfMemory&) {
    length = no_memory;
  } catch (const std::exception& error) {
    try {
      message = error.what();
      if (message.empty()) message = "checkpoint: an error without a message";
      length = static_cast<std::int64_t>(message.size());
    } catch (const std::bad_alloc&) {
      length = no_memory;
    }
  } catch (...) {                  // of a part of the caller's own
    message = "not an exception";  // in no memory but its own
    length = static_cast<std::int64_t>(message.size());
  }
  std::int32_t first = length != 0 ? world.rank() : world.size();
  world.all_reduce(BufferView(&first, 1, DType::i32), ReduceOp::min);
  if (first == world.size()) return;
  world.broadcast(BufferView(&length, 1, DType::i64), first);
  if (length == no_memory) throw_out_of_memory();
  std::string told;
  std::array<char, 1024> piece;
  for (std::int64_t begin = 0; begin < length; begin += std::ssize(piece)) {
    const auto count = static_cast<std::size_t>(std::min(length - begin, std::ssize(piece)));
    if (first == world.rank()) std::copy_n(message.data() + begin, count, piece.data());
    world.broadcast(BufferView(piece.data(), count, DType::u8), first);
    try {
      told.append(piece.data(), count);
    } catch (const std::bad_alloc&) {  // the rest is not told
    }
  }
  throw CheckpointError(told, file);
}

}  // namespace tutti::checkpoint
