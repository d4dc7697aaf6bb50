#include "checkpoint/landing.h"

#include <algorithm>

#include "tutti/tensor/creation.h"

namespace tutti::checkpoint {

bool Landing::fits(const Area& area, std::size_t bytes) {
  return area.pages && area.pages->size() - area.used >= bytes;
}

Tensor Landing::take(const Shape& shape, DType dtype) {
  const auto count = static_cast<std::size_t>(shape.numel());
  const auto bytes = round_up(count * size_of(dtype), unit);
  if (bytes == 0) return empty(shape, {.dtype = dtype});
  if (!fits(touched_, bytes) && !fits(fresh_, bytes))
    fresh_ = {std::make_shared<Pages>(std::max(left_, bytes))};
  auto& area = fits(touched_, bytes) ? touched_ : fresh_;
  auto* const data = area.pages->data() + area.used;
  area.used += bytes;
  left_ -= std::min(left_, bytes);
  return from_buffer({data, count, dtype}, shape, area.pages);
}

}  // namespace tutti::checkpoint
