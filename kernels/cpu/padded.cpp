#include "kernels/cpu/padded.h"

#include <algorithm>

namespace tutti::kernels {

// By vectors, the last of which may begin in the one before it.
void copy_row(const float* from, std::int64_t count, float* to) {
  if (count < lanes) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = from[i];
    return;
  }
  Vector vector;
  for (std::int64_t i = 0; i < count; i += lanes) {
    const std::int64_t at = std::min(i, count - lanes);
    load(vector, from + at);
    store(vector, lanes, to + at);
  }
}

void Padded::copy(const float* from, float* to) const {
  const std::int64_t stride = x_.stride;
  to += y_.padding * width();
  for (std::int64_t c = 0; c < channels_; ++c, to += plane()) {
    for (std::int64_t y = 0; y < y_.in; ++y, from += x_.in) {
      float* const row = to + y * width();
      if (stride == 1) {
        copy_row(from, x_.in, row + x_.padding);
        continue;
      }
      for (std::int64_t j = 0, at = x_.padding; j < std::min(stride, x_.in); ++j, ++at) {
        float* const part = row + at % stride * part_ + at / stride;
        for (std::int64_t i = 0; j + i * stride < x_.in; ++i) part[i] = from[j + i * stride];
      }
    }
  }
}

}  // namespace tutti::kernels
