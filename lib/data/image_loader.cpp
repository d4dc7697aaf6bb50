#include "tutti/data/image_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "data/loader_state.h"
#include "tutti/core/error.h"
#include "tutti/data/sample_order.h"
#include "tutti/tensor/creation.h"

namespace tutti::data {
namespace {

void check_set(const ImageSet& set) {
  const auto &images = set.images, &labels = set.labels;
  if (images.dtype() != DType::u8 || labels.dtype() != DType::i64) {
    throw DTypeError(fmt::format("image loader: images are u8 and labels i64, not {} and {}",
                                 name_of(images.dtype()), name_of(labels.dtype())));
  }
  if (images.rank() != 3 || labels.rank() != 1 || images.size(0) != labels.size(0)) {
    throw ShapeError(
        fmt::format("image loader: images are [count, height, width] and labels [count], not {} and {}",
                    images.shape().str(), labels.shape().str()));
  }
}

}  // namespace

ImageLoader::ImageLoader(ImageSet set, const ImageOptions& options, const Communicator& world)
    : set_(std::move(set)), options_(options), rank_(world.rank()), ranks_(world.size()) {
  check_set(set_);
  set_ = {set_.images.contiguous(), set_.labels.contiguous()};
  if (!(options.stddev > 0)) {
    throw ConfigError(fmt::format("image loader: stddev must be above 0, not {}", options.stddev));
  }
  share_of("image loader", options.batch, rank_, ranks_);
  const auto rest = set_.size() % options.batch;
  steps_per_epoch_ = set_.size() / options.batch + (rest != 0 && !options.drop_last);
  if (steps_per_epoch_ == 0) {
    throw ConfigError(
        fmt::format("image loader: {} images do not fill a batch of {}", set_.size(), options.batch));
  }
  if (rest % ranks_ != 0 && !options.drop_last) {
    throw ConfigError(
        fmt::format("image loader: the last batch of an epoch must divide by the number of ranks: {} by "
                    "{}; drop_last leaves it out",
                    rest, ranks_));
  }
}

ImageLoader::ImageLoader(ImageSet set, const ImageOptions& options)
    : ImageLoader(std::move(set), options, Communicator()) {}

ImageBatch ImageLoader::next() {
  const auto count = set_.size();
  const auto start = position_ % steps_per_epoch_ * options_.batch;
  const auto share = share_of("image loader", std::min(options_.batch, count - start), rank_, ranks_);
  const auto height = set_.images.size(1), width = set_.images.size(2);
  ImageBatch batch{empty({share.count, 1, height, width}), empty({share.count}, {.dtype = DType::i64})};

  std::array<float, 256> normalized;
  for (int i = 0; i < 256; ++i) {
    normalized[static_cast<std::size_t>(i)] =
        static_cast<float>((i / 255.0 - options_.mean) / options_.stddev);
  }
  const auto pixels = height * width;
  auto* image = batch.images.data<float>();
  for (std::int64_t i = 0; i < share.count; ++i) {
    auto sample = start + share.first + i;
    if (options_.shuffle) {
      sample = static_cast<std::int64_t>(shuffled(options_.seed, static_cast<std::uint64_t>(epoch()),
                                                  static_cast<std::uint64_t>(count),
                                                  static_cast<std::uint64_t>(sample)));
    }
    const auto* from = set_.images.data<std::uint8_t>() + sample * pixels;
    image = std::transform(from, from + pixels, image, [&](std::uint8_t pixel) { return normalized[pixel]; });
    batch.labels.data<std::int64_t>()[i] = set_.labels.data<std::int64_t>()[sample];
  }
  ++position_;
  return batch;
}

NamedTensors ImageLoader::state_dict() const {
  return {named_number("position", static_cast<std::uint64_t>(position_)),
          named_number("seed", options_.seed)};
}

void ImageLoader::load_state_dict(const NamedTensors& state) {
  const auto loaded = state_dict();
  copy_by_name("image loader", loaded, state);
  const auto position = static_cast<std::int64_t>(number_in(loaded[0]));
  if (position < 0)
    throw DataError(fmt::format("image loader: the position must not be negative: {}", position));
  position_ = position;
  options_.seed = number_in(loaded[1]);
}

}  // namespace tutti::data
