// Sums by index without atomics: the indices are sorted, and the rows of g that meet in one row of out are added in their
// order by one group of threads, which no other has a part in. Long segments are cut into pieces of fixed length, the sums of
// which are then added in f64 (of floats): the bits are the same on every grid, and those of a row don't depend on the others.
#include <algorithm>
#include <limits>
#include <string>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/radix_sort.cuh"
#include "kernels/index.h"
#include "tutti/core/error.h"

namespace tutti::kernels {
namespace {

constexpr unsigned threads = 256;
constexpr std::uint32_t piece = 32;
constexpr unsigned most_y = 65535;  // blocks of a grid

template <typename T>
using Precise = std::conditional_t<std::is_same_v<T, float>, double, T>;

// Keys of rows: sorted ones, and where in the order of the indices each stood. Those outside are `n`, behind all others.
struct Rows {
  const std::uint32_t *keys, *places;
  std::uint32_t count, n;

  __device__ bool begins(std::uint32_t i) const { return i == 0 || keys[i - 1] != keys[i]; }
  // Whether the key is also that of the row `piece` further on, or back.
  __device__ bool goes_on(std::uint32_t i) const { return count - i > piece && keys[i + piece] == keys[i]; }
  __device__ bool is_piece(std::uint32_t i) const {
    if (begins(i)) return true;
    if (i < piece || keys[i - piece] != keys[i]) return false;
    std::uint32_t low = 0, high = i - piece;  // the first of the segment
    while (low < high) {
      const std::uint32_t middle = (low + high) / 2;
      if (keys[middle] < keys[i])
        low = middle + 1;
      else
        high = middle;
    }
    return (i - low) % piece == 0;
  }
  // Where the sum of the piece at `i` is kept: of the pieces that begin among `piece` neighbours, only the first one of a
  // segment and the last one of another have more than one to be added to.
  __device__ std::uint32_t slot(std::uint32_t i) const { return i / piece * 2 + (begins(i) ? 1 : 0); }
};

__host__ __device__ constexpr std::uint32_t slots(std::uint32_t count) { return (count / piece + 1) * 2; }

// Which columns from `first` on a thread has.
template <int n>
__device__ std::int64_t column(std::int64_t first) {
  return first + (std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * n;
}

template <int n, typename T, typename C>
__device__ void add_pack(T* to, const C (&sums)[n]) {
  auto pack = load_pack<n>(to);
#pragma unroll
  for (int k = 0; k < n; ++k) pack.at[k] = static_cast<T>(static_cast<Arithmetic<T>>(pack.at[k]) + sums[k]);
  store_pack(to, pack);
}

// Each piece: added to `out` where it is a whole segment, else kept in `partial` [outer, slots, inner].
template <typename T, int n>
__global__ void pieces_kernel(Rows rows, const T* g, T* out, Arithmetic<T>* partial, std::int64_t outer,
                              std::int64_t inner, std::int64_t first_column) {
  using C = Arithmetic<T>;
  constexpr unsigned at_once = 4;
  const std::int64_t c = column<n>(first_column);
  if (c >= inner) return;
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.y, all = outer * rows.count;
  for (std::int64_t r = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; r < all; r += step) {
    const std::int64_t o = outer == 1 ? 0 : r / rows.count;
    const auto i = static_cast<std::uint32_t>(r - o * rows.count);
    const std::uint32_t key = rows.keys[i];
    if (key >= rows.n || !rows.is_piece(i)) continue;
    const T* const from = g + o * rows.count * inner + c;
    C sums[n] = {};
    const std::uint32_t end = i + min(piece, rows.count - i);
    for (std::uint32_t k = i; k < end && rows.keys[k] == key; k += at_once) {
      Pack<T, n> packs[at_once];
#pragma unroll
      for (unsigned u = 0; u < at_once; ++u) {
        packs[u] = {};
        if (k + u < end && rows.keys[k + u] == key)
          packs[u] = load_pack<n>(from + rows.places[k + u] * inner);
      }
#pragma unroll
      for (unsigned u = 0; u < at_once; ++u) {
#pragma unroll
        for (int e = 0; e < n; ++e) sums[e] = static_cast<C>(sums[e] + static_cast<C>(packs[u].at[e]));
      }
    }
    if (rows.begins(i) && !rows.goes_on(i)) {
      add_pack<n>(out + (o * rows.n + key) * inner + c, sums);
    } else {
      C* const to = partial + (o * slots(rows.count) + rows.slot(i)) * inner + c;
#pragma unroll
      for (int e = 0; e < n; ++e) to[e] = sums[e];
    }
  }
}

// Adds the pieces of segments that have several: groups of threads take turns, and the first one adds what they have. Among
// `piece` neighbours at most one such segment begins: a block looks for it.
template <typename T, int n>
__global__ void segments_kernel(Rows rows, const Arithmetic<T>* partial, T* out, std::int64_t outer,
                                std::int64_t inner, std::int64_t first_column) {
  using C = Precise<Arithmetic<T>>;
  struct Sums {
    C of_group[threads][n];
  };
  auto& sums = shared<Sums>();
  const std::int64_t c = column<n>(first_column);
  const unsigned groups = blockDim.y, lane = (threadIdx.y * blockDim.x + threadIdx.x) % 32;
  const std::uint32_t windows = (rows.count + piece - 1) / piece;
  for (std::int64_t r = blockIdx.x; r < outer * windows;
       r += gridDim.x) {  // the whole block goes the same way
    const std::int64_t o = r / windows;
    const auto window = static_cast<std::uint32_t>(r - o * windows) * piece;
    const std::uint32_t candidate = window + lane;
    const bool is_one = candidate < rows.count && rows.keys[candidate] < rows.n && rows.begins(candidate) &&
                        rows.goes_on(candidate);
    const unsigned votes = __ballot_sync(all_lanes, is_one);
    if (votes == 0) continue;
    const std::uint32_t i = window + static_cast<std::uint32_t>(__ffs(static_cast<int>(votes)) - 1),
                        key = rows.keys[i];
    C mine[n] = {};
    if (c < inner) {
      const auto* from = partial + o * slots(rows.count) * inner + c;
#pragma unroll 4
      for (std::uint64_t k = i + std::uint64_t{piece} * threadIdx.y; k < rows.count;
           k += std::uint64_t{piece} * groups) {
        const auto at = static_cast<std::uint32_t>(k);
        if (rows.keys[at] != key) break;
        const auto* piece_sums = from + std::int64_t{rows.slot(at)} * inner;
#pragma unroll
        for (int e = 0; e < n; ++e) mine[e] = static_cast<C>(mine[e] + static_cast<C>(piece_sums[e]));
      }
    }
    __syncthreads();  // the former segment's have been read
#pragma unroll
    for (int e = 0; e < n; ++e) sums.of_group[threadIdx.y * blockDim.x + threadIdx.x][e] = mine[e];
    __syncthreads();
    if (threadIdx.y != 0 || c >= inner) continue;
    for (unsigned group = 1; group < groups; ++group) {
#pragma unroll
      for (int e = 0; e < n; ++e)
        mine[e] = static_cast<C>(mine[e] + sums.of_group[group * blockDim.x + threadIdx.x][e]);
    }
    Arithmetic<T> rounded[n];
#pragma unroll
    for (int e = 0; e < n; ++e) rounded[e] = static_cast<Arithmetic<T>>(mine[e]);
    add_pack<n>(out + (o * rows.n + key) * inner + c, rounded);
  }
}

template <typename T, int n>
void add(const char* name, const Rows& rows, const T* g, T* out, std::int64_t outer, std::int64_t inner) {
  const std::int64_t packs = inner / n, all = outer * rows.count;
  const unsigned along = std::bit_ceil(static_cast<unsigned>(std::min<std::int64_t>(packs, 32)));
  const unsigned groups = threads / along;
  const bool several = rows.count > piece;  // pieces of one segment there may be
  DeviceWorkspace partial(
      several ? sizeof(Arithmetic<T>) * static_cast<std::size_t>(outer * slots(rows.count) * inner) : 0);
  auto* sums = partial.as<Arithmetic<T>>();
  for (std::int64_t first = 0; first < packs; first += std::int64_t{most_y} * along) {
    const auto y = static_cast<unsigned>(std::min<std::int64_t>((packs - first + along - 1) / along, most_y));
    const auto grid = [&](std::int64_t parts) {
      return Grid{{static_cast<unsigned>(std::min<std::int64_t>(parts, 1 << 20)), y}, {along, groups}};
    };
    run(name, pieces_kernel<T, n>, grid((all + groups - 1) / groups), rows, g, out, sums, outer, inner,
        first * n);
    if (several)
      run(name, segments_kernel<T, n>, grid(outer * (rows.count / piece + 1)), rows, sums, out, outer, inner,
          first * n);
  }
}

// Keys for `count` indices; `n` where one is outside.
__global__ void row_keys_kernel(const std::int64_t* index, std::uint32_t count, std::uint32_t n,
                                std::uint32_t* keys) {
  const std::uint32_t i = blockIdx.x * threads + threadIdx.x;
  if (i < count) keys[i] = index[i] >= 0 && index[i] < n ? static_cast<std::uint32_t>(index[i]) : n;
}

// Keys of the elements of out [outer, n, inner] that those of g [outer, m, inner] go to.
__global__ void element_keys_kernel(const std::int64_t* index, std::uint32_t count, std::uint32_t n,
                                    std::uint32_t inner, std::uint32_t m, std::uint32_t none,
                                    std::uint32_t* keys) {
  const std::uint32_t i = blockIdx.x * threads + threadIdx.x;
  if (i >= count) return;
  const std::uint32_t row = i / inner;
  const std::int64_t at = index[i];
  keys[i] = at >= 0 && at < n ? (row / m * n + static_cast<std::uint32_t>(at)) * inner + i % inner : none;
}

template <typename T>
void add_sorted(const char* name, SortedKeys& keys, std::uint32_t n, const T* g, T* out, std::int64_t outer,
                std::int64_t inner) {
  keys.sort(name);
  const Rows rows{keys.keys(), keys.places(), keys.count(), n};
  constexpr int in_pack = std::is_integral_v<T> ? 1 : in_16_bytes<T>;
  fits_packs<in_pack>(inner, g, out) ? add<T, in_pack>(name, rows, g, out, outer, inner)
                                     : add<T, 1>(name, rows, g, out, outer, inner);
}

// Numbers of rows and elements that keys can be.
std::uint32_t narrow(const char* name, std::int64_t value) {
  if (value <= std::numeric_limits<std::int32_t>::max()) return static_cast<std::uint32_t>(value);
  throw ShapeError(std::string(name) + ": a GPU sorts at most 2^31 - 1 places, got " + std::to_string(value));
}

}  // namespace

void IndexAdd::cuda(DType dtype, void* out, const std::int64_t* index, const void* g, std::int64_t outer,
                    std::int64_t n, std::int64_t inner, std::int64_t count) {
  if (outer * inner * count * n == 0) return;
  const std::uint32_t rows = narrow(name, n), places = narrow(name, count);
  SortedKeys keys(places, std::bit_width(rows));
  run(name, row_keys_kernel, {(places - 1) / threads + 1, threads}, index, places, rows, keys.unsorted());
  visit_dtype(dtype, [&]<typename T>() {
    add_sorted(name, keys, rows, static_cast<const T*>(g), static_cast<T*>(out), outer, inner);
  });
}

// A part of `outer` at a time where keys would not be enough.
void ScatterAdd::cuda(DType dtype, void* out, const std::int64_t* index, const void* g, std::int64_t outer,
                      std::int64_t n, std::int64_t inner, std::int64_t m) {
  if (outer * inner * m * n == 0) return;
  const std::int64_t in_one = narrow(name, std::max(n, m) * inner);
  const std::int64_t most = std::numeric_limits<std::int32_t>::max() / in_one;
  for (std::int64_t first = 0; first < outer; first += most) {
    const std::int64_t now = std::min(most, outer - first), at = first * m * inner;
    const std::uint32_t elements = narrow(name, now * n * inner), places = narrow(name, now * m * inner);
    SortedKeys keys(places, std::bit_width(elements));
    run(name, element_keys_kernel, {(places - 1) / threads + 1, threads}, index + at, places, narrow(name, n),
        narrow(name, inner), narrow(name, m), elements, keys.unsorted());
    visit_dtype(dtype, [&]<typename T>() {
      add_sorted(name, keys, elements, static_cast<const T*>(g) + at,
                 static_cast<T*>(out) + first * n * inner, 1, 1);
    });
  }
}

}  // namespace tutti::kernels
