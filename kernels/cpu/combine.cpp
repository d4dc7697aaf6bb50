#include "kernels/combine.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/multiversion.h"

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
    constexpr int left = static_cast<int>(std::bit_floor(static_cast<unsigned>(n - 1)));
    return Op::apply(tree_of<Acc, Op, left>(in, i), tree_of<Acc, Op, n - left>(in + left, i));
  }
}

// To one output or to two.
template <typename T>
struct Outputs {
  T* out;
  T* also;
};

template <typename Out, typename In, typename Op, int n, bool twice>
TUTTI_MULTIVERSION void combine_leaf(const In* const* inputs, std::size_t count, Outputs<Out> to,
                                     Accumulator<In> scale) {
  const In* in[n];
  std::copy_n(inputs, n, in);
  Out* const out = to.out;
  Out* const also = to.also;
  TUTTI_INDEPENDENT
  for (std::size_t i = 0; i < count; ++i) {
    Accumulator<In> value = tree_of<Accumulator<In>, Op, n>(in, i);
    if constexpr (std::is_same_v<Op, Sum> && std::is_floating_point_v<Accumulator<In>>) value *= scale;
    out[i] = static_cast<Out>(value);
    if constexpr (twice) also[i] = out[i];
  }
}

template <typename Out, typename In, typename Op, int n>
void combine_leaf(const In* const* in, std::size_t count, Outputs<Out> out, Accumulator<In> scale) {
  if constexpr (std::is_same_v<Out, In>) {
    if (out.also != nullptr) return combine_leaf<Out, In, Op, n, true>(in, count, out, scale);
  }
  combine_leaf<Out, In, Op, n, false>(in, count, out, scale);
}

// At most `leaf_inputs` inputs, from element `first` on.
template <typename Out, typename In, typename Op>
void leaf(std::span<const void* const> inputs, std::size_t first, std::size_t count, Outputs<Out> out,
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
  if (in.size() <= leaf_inputs) return leaf<Acc, T, Op>(in, first, count, {out, nullptr});
  const std::size_t left = std::bit_floor(in.size() - 1);
  Acc right[block];
  subtree<T, Op>(in.first(left), first, count, out);
  subtree<T, Op>(in.subspan(left), first, count, right);
  const Acc* halves[] = {out, right};
  combine_leaf<Acc, Acc, Op, 2>(halves, count, {out, nullptr}, 1);
}

template <typename T, typename Op>
void combine(std::span<const void* const> in, std::size_t count, Outputs<T> out, Accumulator<T> scale) {
  using Acc = Accumulator<T>;
  if (in.size() <= leaf_inputs) return leaf<T, T, Op>(in, 0, count, out, scale);
  const std::size_t left = std::bit_floor(in.size() - 1);
  for (std::size_t first = 0; first < count; first += block) {
    const std::size_t length = std::min(block, count - first);
    Acc a[block], b[block];
    subtree<T, Op>(in.first(left), first, length, a);
    subtree<T, Op>(in.subspan(left), first, length, b);
    const Acc* halves[] = {a, b};
    combine_leaf<T, Acc, Op, 2, false>(halves, length, {out.out + first, nullptr}, scale);
    if (out.also) std::copy_n(out.out + first, length, out.also + first);
  }
}

template <typename T>
void combine(ReduceOp op, std::span<const void* const> in, std::size_t count, Outputs<T> out) {
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

void combine(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in, void* out,
             void* also) {
  if (count == 0) return;
  if (in.size() == 1) {
    for (void* to : {out, also}) {
      if (to != nullptr && to != in[0]) std::memcpy(to, in[0], count * size_of(dtype));
    }
    return;
  }
  // On bytes that are 0 or 1, "or" is the maximum and "and" the minimum.
  if (dtype == DType::bool_) {
    dtype = DType::u8;
    op = op == ReduceOp::sum || op == ReduceOp::max ? ReduceOp::max : ReduceOp::min;
  }
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_same_v<T, bool>) {
      combine<T>(op, in, count, {static_cast<T*>(out), static_cast<T*>(also)});
    }
  });
}

}  // namespace

void Combine::cpu(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in, void* out) {
  combine(op, dtype, count, in, out, nullptr);
}

void CombineToAll::cpu(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in,
                       std::size_t offset, std::span<void* const> out) {
  // So that what is copied still stands in the first-level cache.
  constexpr std::size_t tile_bytes = 2048;
  const std::size_t width = size_of(dtype);
  const std::size_t tile = out.size() <= 2 ? count : tile_bytes / width;
  const void* inputs[max_inputs];
  const auto at = [](auto* data, std::size_t bytes) {
    using Byte = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(data)>>, const std::byte,
                                    std::byte>;
    return static_cast<Byte*>(data) + bytes;
  };
  for (std::size_t first = 0; first < count; first += tile) {
    const std::size_t length = std::min(tile, count - first);
    const std::size_t place = offset + first * width;
    std::transform(in.begin(), in.end(), inputs, [&](const void* p) { return at(p, place); });
    std::byte* const to = at(out[0], place);
    combine(op, dtype, length, {inputs, in.size()}, to, out.size() > 1 ? at(out[1], place) : nullptr);
    for (void* other : out.subspan(std::min<std::size_t>(2, out.size())))
      std::memcpy(at(other, place), to, length * width);
  }
}

}  // namespace tutti::kernels
