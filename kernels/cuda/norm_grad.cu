#include <algorithm>

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/rows.cuh"
#include "kernels/norm.h"

namespace tutti::kernels {
namespace {

// Rounded by itself: not in one operation with a product before it.
__device__ float sum_of(float a, float b) { return __fadd_rn(a, b); }
__device__ double sum_of(double a, double b) { return __dadd_rn(a, b); }

template <typename T>
struct Rows {
  using C = Arithmetic<T>;
  const T* g;
  const T* of_x;
  const T* x;
  const C* weight;
  const C* mean;
  const C* rstd;
  T* dx;
};

// The gradient of x: rstd * (h - mean(h) - xhat * mean(h * xhat)) with h = g * weight and xhat the normalised row; and `of_x`,
// to what these two have been rounded to.
template <typename T, typename Plan>
class GradOfRow {
 public:
  using C = Arithmetic<T>;
  using Column = typename Plan::Column;

  __device__ GradOfRow(const Rows<T>& of, std::int64_t row, Column columns)
      : of_(of), columns_(columns), at_(row * columns), mean_(of.mean[row]), rstd_(of.rstd[row]) {
    if constexpr (Plan::held) load(0);
  }

  __device__ void find(bool root_mean_square, bool write) {
    C along = 0, shift = 0;
    for_each_piece<Plan>(columns_, [&](Column first) {
      if constexpr (!Plan::held) load(first);
      for_each_pack<Plan>(first, columns_, [&](int p, Column column) {
        const Pack<C, Plan::n> weight = weight_at(column);
#pragma unroll
        for (int k = 0; k < Plan::n; ++k) {
          const C h = static_cast<C>(g_.at[p][k]) * weight.at[k];
          along += h * normalised(p, k);
          shift += h;
        }
      });
    });
    const C count = static_cast<C>(columns_);
    along = reduce_team<Plan>(along, Sum()) / count;
    shift = root_mean_square ? C(0) : reduce_team<Plan>(shift, Sum()) / count;
    for_each_piece<Plan>(columns_, [&](Column first) {
      if constexpr (!Plan::held) load(first);
      Piece<Plan, T> result;
      for_each_pack<Plan>(first, columns_, [&](int p, Column column) {
        const Pack<C, Plan::n> weight = weight_at(column);
#pragma unroll
        for (int k = 0; k < Plan::n; ++k) {
          const C h = static_cast<C>(g_.at[p][k]) * weight.at[k];
          result.at[p][k] = T(rstd_ * (h - shift - normalised(p, k) * along));
          if (of_.of_x)
            result.at[p][k] = T(sum_of(static_cast<C>(result.at[p][k]), static_cast<C>(of_x_.at[p][k])));
        }
      });
      if (write) result.store(of_.dx + at_, first, columns_);
    });
  }

  // Of a row that is held.
  __device__ C gradient(int p, int k) const { return static_cast<C>(g_.at[p][k]); }
  __device__ C normalised(int p, int k) const { return (static_cast<C>(x_.at[p][k]) - mean_) * rstd_; }

 private:
  __device__ void load(Column first) {
    x_.load(of_.x + at_, first, columns_, T(0.0f));
    g_.load(of_.g + at_, first, columns_, T(0.0f));
    if (of_.of_x) of_x_.load(of_.of_x + at_, first, columns_, T(0.0f));
  }
  __device__ Pack<C, Plan::n> weight_at(Column column) const {
    if (of_.weight) return load_wide<Plan::n>(of_.weight + column);
    Pack<C, Plan::n> ones;
#pragma unroll
    for (int k = 0; k < Plan::n; ++k) ones.at[k] = C(1);
    return ones;
  }

  const Rows<T>& of_;
  Column columns_;
  std::int64_t at_;
  C mean_, rstd_;
  Piece<Plan, T> x_, g_, of_x_;
};

template <typename T, typename Plan>
__global__ __launch_bounds__(Plan::threads) void dx_kernel(const Rows<T> of, bool root_mean_square,
                                                           std::int64_t rows, typename Plan::Column columns) {
  const bool idle = Plan::row() >= rows;
  GradOfRow<T, Plan>(of, idle ? rows - 1 : Plan::row(), columns).find(root_mean_square, !idle);
}

// How many blocks of all_grads_kernel a processor is to hold: sums take most of a thread's registers.
template <typename T, typename Plan>
inline constexpr int blocks_at_once = [] {
  constexpr int sums = 2 * Plan::packs * Plan::n;
  if (sizeof(T) == 8) return sums <= 8 ? 2 : 1;
  return sums <= 16 ? 3 : sums <= 48 ? 2 : 1;
}();

// All three of them, with one look at x and g: each team keeps the sums over its rows in registers, a block adds those of
// its teams, and `weight_sums` and `bias_sums` [blocks, columns] get what it has.
template <typename T, typename Plan>
__global__ __launch_bounds__(Plan::threads, (blocks_at_once<T, Plan>)) void all_grads_kernel(
    const Rows<T> of, bool root_mean_square, Arithmetic<T>* weight_sums, Arithmetic<T>* bias_sums,
    std::int64_t rows, int columns) {
  using C = Arithmetic<T>;
  C of_weight[Plan::packs][Plan::n] = {}, of_bias[Plan::packs][Plan::n] = {};
  const std::int64_t own = static_cast<int>(threadIdx.x) / Plan::team;
  for (std::int64_t first = std::int64_t{blockIdx.x} * Plan::rows; first < rows;
       first += std::int64_t{gridDim.x} * Plan::rows) {
    const bool idle = first + own >= rows;
    GradOfRow<T, Plan> row(of, idle ? rows - 1 : first + own, columns);
    row.find(root_mean_square, !idle);
    if (idle) continue;
#pragma unroll
    for (int p = 0; p < Plan::packs; ++p) {
#pragma unroll
      for (int k = 0; k < Plan::n; ++k) {
        of_weight[p][k] += row.gradient(p, k) * row.normalised(p, k);
        of_bias[p][k] += row.gradient(p, k);
      }
    }
  }

  const auto write = [&](const C(&sums)[Plan::packs][Plan::n], C* out) {
    if (out == nullptr) return;
    out += std::int64_t{blockIdx.x} * columns;
    if constexpr (Plan::rows == 1) {
      for_each_pack<Plan>(0, columns, [&](int p, int column) {
#pragma unroll
        for (int k = 0; k < Plan::n; ++k) out[column + k] = sums[p][k];
      });
    } else {
      struct Sums {
        C of_team[Plan::rows][Plan::piece];
      };
      auto& all = shared<Sums>();
      __syncthreads();  // what was there has been read
      for_each_pack<Plan>(0, columns, [&](int p, int column) {
#pragma unroll
        for (int k = 0; k < Plan::n; ++k) all.of_team[own][column + k] = sums[p][k];
      });
      __syncthreads();
      for (int column = static_cast<int>(threadIdx.x); column < columns; column += Plan::threads) {
        C sum = 0;
        for (int team = 0; team < Plan::rows; ++team) sum += all.of_team[team][column];
        out[column] = sum;
      }
    }
  };
  write(of_weight, weight_sums);
  write(of_bias, bias_sums);
}

// What the sums of the parameters' gradients are of, [rows, columns].
template <typename T, bool of_weight>
struct ParameterGrads {
  using C = Arithmetic<T>;
  Rows<T> of;

  template <int n>
  __device__ Pack<C, n> load(const ColumnShares& sizes, std::int64_t, std::int64_t row,
                             std::int64_t column) const {
    const std::int64_t at = row * sizes.inner + column;
    const auto g = load_pack<n>(of.g + at);
    Pack<C, n> result;
#pragma unroll
    for (int k = 0; k < n; ++k) result.at[k] = static_cast<C>(g.at[k]);
    if constexpr (of_weight) {
      const auto x = load_pack<n>(of.x + at);
      const C mean = of.mean[row], rstd = of.rstd[row];
#pragma unroll
      for (int k = 0; k < n; ++k) result.at[k] *= (static_cast<C>(x.at[k]) - mean) * rstd;
    }
    return result;
  }
};

// Whether registers hold a row and its sums.
template <typename Plan>
inline constexpr bool holds_all = Plan::held&& Plan::n > 1 && Plan::threads == 256;

template <typename T, typename Plan>
void find_all(const Rows<T>& of, bool root_mean_square, Arithmetic<T>* dweight, Arithmetic<T>* dbias,
              std::int64_t rows, std::int64_t columns) {
  using C = Arithmetic<T>;
  const std::int64_t all = (rows + Plan::rows - 1) / Plan::rows;
  // As many as an H100 holds at once, or that several times over: no thread adds more than 128 rows.
  constexpr std::int64_t wave = std::int64_t{128} * blocks_at_once<T, Plan>;
  const std::int64_t blocks = std::min(all, wave * ((all + 128 * wave - 1) / (128 * wave)));
  const auto bytes = [&](const C* of_columns) {
    return of_columns ? static_cast<std::size_t>(blocks * columns) * sizeof(C) : 0;
  };
  const DeviceWorkspace sums(bytes(dweight) + bytes(dbias));
  C* const of_weight = dweight ? sums.as<C>() : nullptr;
  C* const of_bias = dbias ? sums.as<C>() + (dweight ? blocks * columns : 0) : nullptr;
  run(NormGrad::name, all_grads_kernel<T, Plan>, {static_cast<unsigned>(blocks), Plan::threads}, of,
      root_mean_square, of_weight, of_bias, rows, static_cast<int>(columns));
  const auto add = [&](const C* from, C* to) {
    if (to)
      fold_columns<C, in_16_bytes<C>>(NormGrad::name, Sum(), ColumnsOf<C, C>{from}, to, 1, blocks, columns);
  };
  add(of_weight, dweight);
  add(of_bias, dbias);
}

template <typename T, bool of_weight>
void add_rows(const Rows<T>& of, Arithmetic<T>* out, std::int64_t rows, std::int64_t columns) {
  using C = Arithmetic<T>;
  if (out == nullptr) return;
  const ParameterGrads<T, of_weight> grads{of};
  if (fits_packs<in_16_bytes<T>>(columns, of.g, of.x)) {
    fold_columns<C, in_16_bytes<T>>(NormGrad::name, Sum(), grads, out, 1, rows, columns);
  } else {
    fold_columns<C, 1>(NormGrad::name, Sum(), grads, out, 1, rows, columns);
  }
}

}  // namespace

void NormGrad::cuda(const NormRows& sizes, const Operands& operands) {
  const std::int64_t rows = sizes.rows, columns = sizes.columns;
  visit_dtype(sizes.dtype, [&]<typename T>() {
    using C = Arithmetic<T>;
    if constexpr (std::is_floating_point_v<C>) {
      auto* of_weight = static_cast<C*>(operands.dweight);
      auto* of_bias = static_cast<C*>(operands.dbias);
      if (rows * columns == 0) {
        for (C* none : {of_weight, of_bias}) {
          if (none)
            check(cudaMemsetAsync(none, 0, static_cast<std::size_t>(columns) * sizeof(C), current_stream()),
                  name);
        }
        return;
      }
      const Rows<T> of{static_cast<const T*>(operands.g),    static_cast<const T*>(operands.of_x),
                       static_cast<const T*>(operands.x),    static_cast<const C*>(operands.weight),
                       static_cast<const C*>(operands.mean), static_cast<const C*>(operands.rstd),
                       static_cast<T*>(operands.dx)};
      bool done = false;
      if (of.dx) {
        const bool packed = fits_packs<in_16_bytes<T>>(columns, of.g, of.of_x, of.x, of.dx) &&
                            fits_packs<in_16_bytes<C>>(columns, of.weight);
        with_row_plan<T, 2>(columns, packed, [&]<typename Plan>() {
          if constexpr (holds_all<Plan>) {
            done = of_weight || of_bias;
            if (done) return find_all<T, Plan>(of, sizes.root_mean_square, of_weight, of_bias, rows, columns);
          }
          run(name, dx_kernel<T, Plan>, {Plan::blocks(rows), Plan::threads}, of, sizes.root_mean_square, rows,
              static_cast<typename Plan::Column>(columns));
        });
      }
      if (done) return;
      add_rows<T, true>(of, of_weight, rows, columns);
      add_rows<T, false>(of, of_bias, rows, columns);
    }
  });
}

}  // namespace tutti::kernels
