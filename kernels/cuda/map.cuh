// A function of the elements of strided operands, element by element. A thread takes 16 bytes and more of each at a time where
// they lie so; all loads come before the first use.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <tuple>
#include <utility>

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/layout.cuh"
#include "kernels/cuda/pack.cuh"

namespace tutti::kernels {

inline constexpr int map_threads = 256;

// An operand of elements of T.
template <typename T>
struct Strided {
  T* data;
  const Shape* strides;
};
template <typename T>
Strided(T*, const Shape*) -> Strided<T>;

// How the elements of operands lie: each operand in one piece, or one number; in rows of whole packs that are so; or anyhow.
enum class Lie { dense, rows, any };

template <typename T, int n, int packs>
struct Packs {
  Pack<T, n> at[packs];
};

template <int n, int packs, int N, typename T>
__device__ Packs<T, n, packs> load_packs(const T* from, const Layout<N>& layout, int operand,
                                         const std::int64_t (&at)[packs][N], const bool (&there)[packs]) {
  Packs<T, n, packs> result = {};
  const bool same = n > 1 && layout.inner_stride(operand) == 0;
#pragma unroll
  for (int p = 0; p < packs; ++p) {
    if (!there[p]) continue;
    if (!same) {
      result.at[p] = load_wide<n>(from + at[p][operand]);
    } else {
      const T one = from[at[p][operand]];
#pragma unroll
      for (int i = 0; i < n; ++i) result.at[p].at[i] = one;
    }
  }
  return result;
}

template <Lie lie, int n, int packs, typename Body, typename Out, typename... In, std::size_t... k>
__device__ void map_packs(const Layout<1 + sizeof...(In)>& layout, const Body& body, Out* out,
                          std::index_sequence<k...>, const In*... in) {
  constexpr int N = 1 + sizeof...(In);
  std::int64_t at[packs][N];
  bool there[packs];
  const std::int64_t all = lie == Lie::dense ? layout.count() / n : layout.count();
#pragma unroll
  for (int p = 0; p < packs; ++p) {
    const std::int64_t position = (std::int64_t{blockIdx.x} * packs + p) * map_threads + threadIdx.x;
    there[p] = position < all;
    if constexpr (lie == Lie::dense) {
#pragma unroll
      for (int i = 0; i < N; ++i) at[p][i] = layout.inner_stride(i) == 0 ? 0 : position * n;
    } else {
      layout.locate(there[p] ? position : 0, at[p]);
    }
  }
  const auto store = [&](const Packs<In, n, packs>&... loaded) {
#pragma unroll
    for (int p = 0; p < packs; ++p) {
      Pack<Out, n> result;
#pragma unroll
      for (int i = 0; i < n; ++i) result.at[i] = body(loaded.at[p].at[i]...);
      if (there[p]) store_wide(out + at[p][0], result);
    }
  };
  store(load_packs<n, packs>(in, layout, static_cast<int>(k) + 1, at, there)...);
  if constexpr (lie == Lie::dense && n > 1) {  // what fills no pack
    const std::int64_t last = all * n + threadIdx.x;
    if (blockIdx.x == 0 && last < layout.count())
      out[last] = body(in[layout.inner_stride(static_cast<int>(k) + 1) == 0 ? 0 : last]...);
  }
}

template <Lie lie, int n, int packs, typename Body, typename Out, typename... In>
__global__ __launch_bounds__(map_threads) void map_kernel(
    const __grid_constant__ Layout<1 + sizeof...(In)> layout, const Body body, Out* out, const In*... in) {
  map_packs<lie, n, packs>(layout, body, out, std::index_sequence_for<In...>(), in...);
}

// out = body(in...), at each position of a shape. A body is a struct of plain values: it reaches the GPU as an argument. `out` may
// be one of the inputs.
template <typename Out, typename... In>
class Map {
 public:
  Map(const char* name, const Shape& shape, Strided<Out> out, Strided<const In>... in)
      : name_(name),
        layout_(shape, {out.strides, in.strides...}),
        pointers_(out.data, in.data...),
        lie_(find_lie()) {}

  Lie lie() const { return lie_; }
  const Layout<1 + sizeof...(In)>& layout() const { return layout_; }

  // However they lie.
  template <typename Body>
  void run(const Body& body) const {
    if (lie_ == Lie::dense) return run_dense(body);
    if (lie_ == Lie::rows) return run_rows(body);
    run_any(body);
  }
  template <typename Body>
  void run_dense(const Body& body) const {
    constexpr std::size_t loaded = n * (std::size_t{0} + ... + sizeof(In));
    start<Lie::dense, n, (loaded <= 16 ? 2 : 1)>(layout_, (layout_.count() + n - 1) / n, body, pointers_);
  }
  template <typename Body>
  void run_rows(const Body& body) const {
    start_located<Lie::rows, n>(layout_.of_packs(n), body, pointers_);
  }
  // Takes all, one element at a time.
  template <typename Body>
  void run_any(const Body& body) const {
    start_located<Lie::any, 1>(layout_, body, pointers_);
  }

 private:
  static constexpr int operands = 1 + sizeof...(In);
  // Neighbours that a thread takes: 16 bytes of the smallest elements, but no more than 8 elements.
  static constexpr int n =
      static_cast<int>(std::min<std::size_t>(8, 16 / std::min({sizeof(Out), sizeof(In)...})));

  Lie find_lie() const {
    constexpr std::size_t sizes[] = {sizeof(Out), sizeof(In)...};
    const auto data =
        std::apply([](auto*... at) { return std::array<const void*, operands>{at...}; }, pointers_);
    const int inner = layout_.rank() - 1;
    bool fits = inner <= 0 || layout_.size(inner) % n == 0;
    for (int k = 0; k < operands; ++k) {
      const std::int64_t stride = layout_.inner_stride(k);
      if (stride == 0 && (k > 0 || layout_.count() == 1)) continue;
      const std::size_t i = static_cast<std::size_t>(k);
      fits = fits && stride == 1 &&
             std::bit_cast<std::uintptr_t>(data[i]) % std::min<std::size_t>(16, n * sizes[i]) == 0;
      for (int d = 0; d < inner; ++d) fits = fits && layout_.stride(k, d) % n == 0;
    }
    return !fits ? Lie::any : inner <= 0 ? Lie::dense : Lie::rows;
  }

  using Pointers = std::tuple<Out*, const In*...>;

  template <Lie lie, int neighbours, int packs, typename Body>
  void start(const Layout<operands>& layout, std::int64_t positions, const Body& body,
             const Pointers& pointers) const {
    if (positions == 0) return;
    constexpr std::int64_t of_block = map_threads * packs;
    const auto blocks = static_cast<unsigned>((positions + of_block - 1) / of_block);
    std::apply(
        [&](Out* out, const In*... in) {
          kernels::run(name_, map_kernel<lie, neighbours, packs, Body, Out, In...>, {blocks, map_threads},
                       layout, body, out, in...);
        },
        pointers);
  }
  template <std::size_t... k>
  static Pointers moved(const Pointers& pointers, const std::int64_t (&by)[operands],
                        std::index_sequence<k...>) {
    return {std::get<k>(pointers) + by[k]...};
  }
  // By parts that 32 bits can count.
  template <Lie lie, int neighbours, typename Body>
  void start_located(const Layout<operands>& layout, const Body& body, const Pointers& pointers) const {
    if (layout.count() >> 31 == 0) return start<lie, neighbours, 1>(layout, layout.count(), body, pointers);
    std::int64_t at[operands];
    const auto [first, second] = layout.halves(at);
    start_located<lie, neighbours>(first, body, pointers);
    const Pointers behind = moved(pointers, at, std::make_index_sequence<operands>());
    start_located<lie, neighbours>(second, body, behind);
  }

  const char* name_;
  Layout<operands> layout_;
  Pointers pointers_;
  Lie lie_;
};

template <typename Out, typename... In>
Map(const char*, const Shape&, Strided<Out>, Strided<const In>...) -> Map<Out, In...>;

}  // namespace tutti::kernels
