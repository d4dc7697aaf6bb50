#include "parallel/flat.h"

#include "tutti/tensor/creation.h"

namespace tutti::parallel {

Tensor shared_flat(Communicator& comm, const TensorOptions& options, std::int64_t count) {
  const auto& [dtype, device] = options;
  auto memory = comm.allocate(static_cast<std::size_t>(count) * size_of(dtype), device);
  void* data = memory.get();
  Tensor flat =
      from_buffer({data, static_cast<std::size_t>(count), dtype, device}, {count}, std::move(memory));
  return flat.zero_();
}

}  // namespace tutti::parallel
