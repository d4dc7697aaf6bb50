#include "kernels/combine.h"

#include <cstring>

#include "kernels/launch.h"
#include "kernels/memory.h"
#include "tests/cuda/gpu_test.h"

namespace tutti::test {
namespace {

constexpr ReduceOp float_ops[] = {ReduceOp::sum, ReduceOp::avg, ReduceOp::min, ReduceOp::max, ReduceOp::prod};

// What either device makes of `ranks` inputs, as bytes: the bits must agree.
std::vector<std::byte> combined(ReduceOp op, DType dtype, const std::vector<Tensor>& inputs, Device device) {
  std::vector<Tensor> there;
  std::vector<const void*> in;
  for (const auto& input : inputs) {
    there.push_back(input.to(device));
    in.push_back(there.back().raw_data());
  }
  const auto count = static_cast<std::size_t>(inputs[0].numel());
  const Tensor out = zeros(inputs[0].shape(), {.dtype = dtype, .device = device});
  if constexpr (kernels::with_cuda) {
    if (device.is_cuda()) {
      const kernels::CurrentGpu current(device);
      kernels::Combine::cuda(op, dtype, count, in, out.raw_data(), nullptr);
    }
  }
  if (device.is_cpu()) kernels::Combine::cpu(op, dtype, count, in, out.raw_data());
  const Tensor result = out.to(Device::cpu());
  std::vector<std::byte> bytes(count * size_of(dtype));
  std::memcpy(bytes.data(), result.raw_data(), bytes.size());
  return bytes;
}

TEST_F(GpuTest, CombineGivesTheBitsOfTheCpu) {
  for (const DType dtype : all_dtypes) {
    for (const ReduceOp op : float_ops) {
      if (op == ReduceOp::avg && !is_floating_point(dtype)) continue;
      for (const int ranks : {1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 100}) {
        for (const std::int64_t count : {1, 31, 4099}) {
          std::vector<Tensor> inputs;
          for (int rank = 0; rank < ranks; ++rank) inputs.push_back(numbers({count}, dtype, rank));
          EXPECT_EQ(combined(op, dtype, inputs, gpu), combined(op, dtype, inputs, Device::cpu()))
              << name_of(op) << " of " << ranks << " x " << name_of(dtype) << "[" << count << "]";
        }
      }
    }
  }
}

}  // namespace
}  // namespace tutti::test
