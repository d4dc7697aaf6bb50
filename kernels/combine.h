// The arithmetic inside a collective: the reduction over the ranks of one element position.
#pragma once

#include <cstddef>
#include <span>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"
#include "tutti/core/reduce_op.h"

namespace tutti::kernels {

// out[i] = op over in[0][i] .. in[n-1][i], in the tree of tutti/core/tree.h: five are ((0 + 1) + 2) + (3 + 4). The
// bits of a result depend on nothing else: not on the position, nor the count, nor the processor. bf16 and f16 are
// accumulated in f32 and rounded once. `out` may be one of the inputs, otherwise they do not overlap.
struct Combine {
  static constexpr const char* name = "combine";
  static void cpu(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in, void* out);

  // On the current GPU, behind what is on `stream` (a cudaStream_t). At most
  // `most_cuda_inputs` of them. The same bits but for those of a NaN.
  static constexpr std::size_t most_cuda_inputs = 256;  // their addresses travel with the launch
  static void cuda(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in, void* out,
                   void* stream);
  // The same on the current stream.
  static void cuda(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in, void* out);
  // Brings the code for so many inputs to the current GPU. Else its first launch does, and may wait for
  // everything that runs there, a collective among it.
  static void load_cuda(DType dtype, std::size_t inputs);
};

// The same, from `offset` bytes into the inputs on, to several outputs at the same place. An output may be one of the
// inputs.
struct CombineToAll {
  static constexpr const char* name = "combine_to_all";
  static constexpr std::size_t max_inputs = 512;
  static void cpu(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in,
                  std::size_t offset, std::span<void* const> out);
};

}  // namespace tutti::kernels
