// Loops that the threads of the process share.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tutti {

namespace threads {

// Calls piece(context, i) for each i in [0, count), each once, by some of the threads; returns when all are done, and
// throws the first error of one, with which the others end early. A piece that shares a loop in turn does it alone.
void run(std::int64_t count, void (*piece)(void* context, std::int64_t i), void* context);

}  // namespace threads

// f(first, last) for [0, n) cut into pieces of `grain`. Where they are cut does not depend on the threads: what a piece
// computes may depend on its bounds.
template <typename F>
void parallel_for(std::int64_t n, std::int64_t grain, F&& f) {
  if (n <= grain) {
    if (n > 0) f(std::int64_t{0}, n);
    return;
  }
  struct Loop {
    F& f;
    std::int64_t n, grain;
  } loop{f, n, grain};
  threads::run((n + grain - 1) / grain,
               [](void* context, std::int64_t i) {
                 auto& [body, count, step] = *static_cast<Loop*>(context);
                 body(i * step, std::min(count, (i + 1) * step));
               },
               &loop);
}

// Elements of a piece of simple arithmetic: some ten microseconds, for which it pays to call another thread.
inline constexpr std::int64_t piece_elements = 1 << 14;

// Rows of `columns` elements that make such a piece.
constexpr std::int64_t piece_rows(std::int64_t columns) {
  return std::max<std::int64_t>(1, piece_elements / std::max<std::int64_t>(1, columns));
}

}  // namespace tutti
