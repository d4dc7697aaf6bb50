#include "parallel/flat.h"

#include "tutti/tensor/creation.h"

namespace tutti::parallel {

Tensor shared_flat(Communicator& comm, DType dtype, std::int64_t count) {
  auto memory = comm.allocate(static_cast<std::size_t>(count) * size_of(dtype));
  void* data = memory.get();
  Tensor flat = from_buffer({data, static_cast<std::size_t>(count), dtype}, {count}, std::move(memory));
  return flat.zero_();
}

}  // namespace tutti::parallel
