// Products of tiles for attention in any dtype. A block of 16 x 16 threads has 16 R rows of its own and takes 64 others at a time;
// a thread has R rows by 4 of a product of the two, and R by D / 16 columns of results: column 64 j + 4 x + c is [4 j + c] of
// thread x.
#pragma once

#include <algorithm>

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/block.cuh"

namespace tutti::kernels {

inline constexpr int tile_threads = 256, tile_others = 64;

template <typename T, int D>
struct Tiles {
  using C = Arithmetic<T>;
  static constexpr int R = sizeof(C) == 8 ? 2 : 4, rows = 16 * R, depth = 64 / sizeof(C);
  static constexpr int pad = 16 / sizeof(C);  // rows stay aligned, and fewer of them meet in a bank
  using Scores = C[R][4];
  using Results = C[R][D / 16];

  struct Narrow {
    C a[depth][rows + pad], b[depth][tile_others + pad];
  };
  struct alignas(16) Memory {
    C p[tile_others][rows + pad];
    union {
      Narrow narrow;
      C wide[depth][D];
    };
  };

  int x = static_cast<int>(threadIdx.x) % 16, y = static_cast<int>(threadIdx.x) / 16;
  Memory& memory = shared<Memory>();

  template <int n>
  static __device__ __forceinline__ void read(C (&to)[n], const C* from) {
    constexpr int size = std::min<int>(n, 16 / sizeof(C));
#pragma unroll
    for (int i = 0; i < n; i += size) {
      const auto pack = load_pack<size>(from + i);
#pragma unroll
      for (int e = 0; e < size; ++e) to[i + e] = pack.at[e];
    }
  }

  static __device__ C element(const Rows<T>& from, int row, int column) {
    return row < from.count && column < from.width ? static_cast<C>(from.at(row)[column]) : C(0);
  }

  // c += rows first_a.. of a times those first_b.. of b, transposed. What matrices have not is 0.
  __device__ void multiply_transposed(Scores& c, const Rows<T>& a, int first_a, const Rows<T>& b,
                                      int first_b) {
    for (int start = 0; start < a.width; start += depth) {
      __syncthreads();
      for (int i = static_cast<int>(threadIdx.x); i < (rows + tile_others) * depth; i += tile_threads) {
        const int row = i / depth, k = i % depth;
        if (row < rows) {
          memory.narrow.a[k][row] = element(a, first_a + row, start + k);
        } else {
          memory.narrow.b[k][row - rows] = element(b, first_b + row - rows, start + k);
        }
      }
      __syncthreads();
#pragma unroll
      for (int k = 0; k < depth; ++k) {
        C of_a[R], of_b[4];
        read(of_a, &memory.narrow.a[k][R * y]);
        read(of_b, &memory.narrow.b[k][4 * x]);
#pragma unroll
        for (int i = 0; i < R; ++i) {
#pragma unroll
          for (int j = 0; j < 4; ++j) c[i][j] += of_a[i] * of_b[j];
        }
      }
    }
  }

  // c += p times rows first.. of b.
  __device__ void multiply(Results& c, const Scores& p, const Rows<T>& b, int first) {
    __syncthreads();
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
      for (int i = 0; i < R; ++i) memory.p[4 * x + j][R * y + i] = p[i][j];
    }
    const int count = min(tile_others, b.count - first);
    for (int start = 0; start < count; start += depth) {
      __syncthreads();
      for (int i = static_cast<int>(threadIdx.x); i < depth * D; i += tile_threads)
        memory.wide[i / D][i % D] = element(b, first + start + i / D, i % D);
      __syncthreads();
#pragma unroll 4
      for (int k = 0; k < depth; ++k) {
        C of_p[R];
        read(of_p, &memory.p[start + k][R * y]);
#pragma unroll
        for (int j = 0; j < D / 64; ++j) {
          C of_b[4];
          read(of_b, &memory.wide[k][64 * j + 4 * x]);
#pragma unroll
          for (int i = 0; i < R; ++i) {
#pragma unroll
            for (int e = 0; e < 4; ++e) c[i][4 * j + e] += of_p[i] * of_b[e];
          }
        }
      }
    }
  }

  // c, its rows times `factor`, to rows first...
  __device__ void store(const Rows<T>& to, int first, const Results& c, const C (&factor)[R]) const {
#pragma unroll
    for (int i = 0; i < R; ++i) {
      const int row = first + R * y + i;
#pragma unroll
      for (int j = 0; j < D / 16; ++j) {
        const int column = j / 4 * 64 + 4 * x + j % 4;
        if (row < to.count && column < to.width) to.at(row)[column] = static_cast<T>(c[i][j] * factor[i]);
      }
    }
  }
};

// Calls f.operator()<T, D>() with the narrowest D for the widths.
template <typename F>
void choose_tiles(const AttentionArgs& args, F f) {
  const auto width = std::max(args.width, args.value_width);
  visit_dtype(args.dtype, [&]<typename T>() {
    if constexpr (is_floating_point(dtype_of<T>)) {
      if (width <= 64) return f.template operator()<T, 64>();
      if (width <= 128) return f.template operator()<T, 128>();
      f.template operator()<T, 256>();
    }
  });
}

}  // namespace tutti::kernels
