#include "kernels/combine.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/multiversion.h"
#include "tutti/core/tree.h"

// `out` may be one of the inputs, at the same place: no iteration depends on another one.
#if defined(__clang__)
#define TUTTI_INDEPENDENT
#else
#define TUTTI_INDEPENDENT _Pragma("GCC ivdep")
#endif
#define TUTTI_INLINE [[gnu::always_inline]] inline

namespace tutti::kernels {
namespace {

constexpr std::size_t leaf_inputs = 4;
constexpr std::size_t block = 512;

template <typename T>
using Accumulator = std::conditional_t<std::is_same_v<T, bfloat16> || std::is_same_v<T, float16>, float, T>;

// Integers wrap; signed overflow would be undefined.
template <typename T>
using Wrapping =
    typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>, std::type_identity<T>>::type;

struct Sum {
  template <typename T>
  TUTTI_INLINE static T apply(T a, T b) {
    return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
  }
};
struct Prod {
  template <typename T>
  TUTTI_INLINE static T apply(T a, T b) {
    return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
  }
};
struct Min {
  template <typename T>
  TUTTI_INLINE static T apply(T a, T b) {
    return ((a < b) | (a != a)) ? a : b;
  }
};
struct Max {
  template <typename T>
  TUTTI_INLINE static T apply(T a, T b) {
    return ((a > b) | (a != a)) ? a : b;
  }
};

template <typename Acc, typename Op, int n, typename In>
TUTTI_INLINE Acc tree_of(const In* const* in, std::size_t i) {
  if constexpr (n == 1) {
    return static_cast<Acc>(in[0][i]);
  } else {
    constexpr int left = static_cast<int>(left_leaves(n));
    return Op::apply(tree_of<Acc, Op, left>(in, i), tree_of<Acc, Op, n - left>(in + left, i));
  }
}

// One output, two, or four; these may be the same.
template <typename T>
struct Outputs {
  Outputs(T* out) : to{out}, count(1) {}  // NOLINT: one output is the usual case
  explicit Outputs(std::span<void* const> out) : count(out.size() <= 2 ? static_cast<int>(out.size()) : 4) {
    for (std::size_t i = 0; i < 4; ++i) to[i] = static_cast<T*>(out[std::min(i, out.size() - 1)]);
  }
  T* to[4];
  int count;
};

template <typename Out, typename In, typename Op, int n, int outputs>
TUTTI_MULTIVERSION void combine_leaf(const In* const* inputs, std::size_t count, const Outputs<Out>& output,
                                     Accumulator<In> scale) {
  const In* in[n];
  Out* out[outputs];
  std::copy_n(inputs, n, in);
  std::copy_n(output.to, outputs, out);
  TUTTI_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i) {
    Accumulator<In> value = tree_of<Accumulator<In>, Op, n>(in, i);
    if constexpr (std::is_same_v<Op, Sum> && std::is_floating_point_v<Accumulator<In>>) value *= scale;
    const auto result = static_cast<Out>(value);
    out[0][i] = result;
    if constexpr (outputs >= 2) out[1][i] = result;
    if constexpr (outputs >= 4) out[2][i] = result, out[3][i] = result;
  }
}

template <typename Out, typename In, typename Op, int n>
void combine_leaf(const In* const* in, std::size_t count, const Outputs<Out>& out, Accumulator<In> scale) {
  if constexpr (std::is_same_v<Out, In>) {
    if (out.count == 2) return combine_leaf<Out, In, Op, n, 2>(in, count, out, scale);
    if (out.count == 4) return combine_leaf<Out, In, Op, n, 4>(in, count, out, scale);
  }
  combine_leaf<Out, In, Op, n, 1>(in, count, out, scale);
}

// At most `leaf_inputs` inputs, from element `first` on.
template <typename Out, typename In, typename Op>
void leaf(std::span<const void* const> inputs, std::size_t first, std::size_t count, const Outputs<Out>& out,
          Accumulator<In> scale = 1) {
  const In* in[leaf_inputs];
  std::transform(inputs.begin(), inputs.end(), in,
                 [&](const void* p) { return static_cast<const In*>(p) + first; });
  switch (inputs.size()) {
    case 1:
      return combine_leaf<Out, In, Op, 1>(in, count, out, scale);
    case 2:
      return combine_leaf<Out, In, Op, 2>(in, count, out, scale);
    case 3:
      return combine_leaf<Out, In, Op, 3>(in, count, out, scale);
    default:
      return combine_leaf<Out, In, Op, 4>(in, count, out, scale);
  }
}

// The subtree over `in`, elements [first, first + count), count <= block.
template <typename T, typename Op>
void subtree(std::span<const void* const> in, std::size_t first, std::size_t count, Accumulator<T>* out) {
  using Acc = Accumulator<T>;
  if (in.size() <= leaf_inputs) return leaf<Acc, T, Op>(in, first, count, out);
  const std::size_t left = left_leaves(in.size());
  Acc right[block];
  subtree<T, Op>(in.first(left), first, count, out);
  subtree<T, Op>(in.subspan(left), first, count, right);
  const Acc* halves[] = {out, right};
  combine_leaf<Acc, Acc, Op, 2, 1>(halves, count, out, 1);
}

template <typename T, typename Op>
void combine(std::span<const void* const> in, std::size_t count, const Outputs<T>& out,
             Accumulator<T> scale) {
  using Acc = Accumulator<T>;
  if (in.size() <= leaf_inputs) return leaf<T, T, Op>(in, 0, count, out, scale);
  const std::size_t left = left_leaves(in.size());
  for (std::size_t first = 0; first < count; first += block) {
    const std::size_t length = std::min(block, count - first);
    Acc a[block], b[block];
    subtree<T, Op>(in.first(left), first, length, a);
    subtree<T, Op>(in.subspan(left), first, length, b);
    const Acc* halves[] = {a, b};
    combine_leaf<T, Acc, Op, 2, 1>(halves, length, out.to[0] + first, scale);
    for (int i = 1; i < out.count; ++i) std::copy_n(out.to[0] + first, length, out.to[i] + first);
  }
}

template <typename T>
void combine(ReduceOp op, std::span<const void* const> in, std::size_t count, const Outputs<T>& out) {
  using Acc = Accumulator<T>;
  switch (op) {
    case ReduceOp::sum:
      return combine<T, Sum>(in, count, out, Acc(1));
    case ReduceOp::avg:
      return combine<T, Sum>(in, count, out, Acc(1) / static_cast<Acc>(in.size()));
    case ReduceOp::min:
      return combine<T, Min>(in, count, out, Acc(1));
    case ReduceOp::max:
      return combine<T, Max>(in, count, out, Acc(1));
    case ReduceOp::prod:
      return combine<T, Prod>(in, count, out, Acc(1));
  }
}

void combine(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in,
             std::span<void* const> out) {
  if (count == 0) return;
  if (in.size() == 1) {
    for (void* to : out) {
      if (to != in[0]) std::memcpy(to, in[0], count * size_of(dtype));
    }
    return;
  }
  // On bytes that are 0 or 1, "or" is the maximum and "and" the minimum.
  if (dtype == DType::bool_) {
    dtype = DType::u8;
    op = op == ReduceOp::sum || op == ReduceOp::max ? ReduceOp::max : ReduceOp::min;
  }
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_same_v<T, bool>) combine<T>(op, in, count, Outputs<T>(out));
  });
}

}  // namespace

void Combine::cpu(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in, void* out) {
  combine(op, dtype, count, in, {&out, 1});
}

void CombineToAll::cpu(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in,
                       std::size_t offset, std::span<void* const> out) {
  constexpr std::size_t at_once = 4;
  // So that what is copied still stands in the first-level cache.
  constexpr std::size_t tile_bytes = 1024;
  const std::size_t width = size_of(dtype);
  const std::size_t tile = out.size() <= at_once ? count : tile_bytes / width;
  const std::size_t first_outputs = std::min(at_once, out.size());
  const void* inputs[max_inputs];
  void* outputs[at_once];
  for (std::size_t first = 0; first < count; first += tile) {
    const std::size_t length = std::min(tile, count - first);
    const std::size_t place = offset + first * width;
    const auto moved = [place](auto* data) { return static_cast<const std::byte*>(data) + place; };
    const auto moved_out = [place](void* data) { return static_cast<std::byte*>(data) + place; };
    std::transform(in.begin(), in.end(), inputs, moved);
    std::transform(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(first_outputs), outputs, moved_out);
    combine(op, dtype, length, {inputs, in.size()}, {outputs, first_outputs});
    for (void* other : out.subspan(first_outputs)) std::memcpy(moved_out(other), outputs[0], length * width);
  }
}

}  // namespace tutti::kernels
