#include "checkpoint/landing.h"

#include <algorithm>

#include "tutti/tensor/creation.h"

namespace tutti::checkpoint {
namespace {

std::size_t room_for(const Shape& shape, DType dtype) {
  constexpr std::size_t unit = 64;
  return round_up(static_cast<std::size_t>(shape.numel()) * size_of(dtype), unit);
}

}  // namespace

std::size_t Landing::room_for(const Tensor& like) { return checkpoint::room_for(like.shape(), like.dtype()); }

bool Landing::fits(const Area& area, std::size_t bytes) {
  return area.pages && area.pages->size() - area.used >= bytes;
}

Tensor Landing::take(const Shape& shape, DType dtype) {
  const auto count = static_cast<std::size_t>(shape.numel());
  const auto bytes = checkpoint::room_for(shape, dtype);
  if (bytes == 0) return empty(shape, {dtype, Device::cpu()});
  if (!fits(touched_, bytes) && !fits(fresh_, bytes))
    fresh_ = {std::make_shared<Pages>(std::max(left_, bytes))};
  auto& area = fits(touched_, bytes) ? touched_ : fresh_;
  auto* const data = area.pages->data() + area.used;
  area.used += bytes;
  left_ -= std::min(left_, bytes);
  return from_buffer({data, count, dtype}, shape, area.pages);
}

}  // namespace tutti::checkpoint
