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

Settings settings_of(const ImageOptions& options, const ImageSet& set) {
  return {{"batch", static_cast<std::uint64_t>(options.batch)},
          {"seed", options.seed},
          {"images", static_cast<std::uint64_t>(set.size())},
          {"shuffle", options.shuffle},
          {"drop_last", options.drop_last}};
}

}  // namespace

ImageLoader::ImageLoader(ImageSet set, const ImageOptions& options, const Communicator& world)
    : set_(std::move(set)), options_(options), position_(world.logical_ranks()) {
  check_set(set_);
  set_ = {set_.images.contiguous(), set_.labels.contiguous()};
  if (!(options.stddev > 0)) {
    throw ConfigError(fmt::format("image loader: stddev must be above 0, not {}", options.stddev));
  }
  check_batch("image loader", options.batch, position_.ranks());
  const bool rest = set_.size() % options.batch != 0;
  steps_per_epoch_ = set_.size() / options.batch + (rest && !options.drop_last);
  if (steps_per_epoch_ == 0) {
    throw ConfigError(
        fmt::format("image loader: {} images do not fill a batch of {}", set_.size(), options.batch));
  }
}

ImageLoader::ImageLoader(ImageSet set, const ImageOptions& options)
    : ImageLoader(std::move(set), options, Communicator()) {}

ImageBatch ImageLoader::next() {
  const auto count = set_.size();
  const auto start = position_.step() % steps_per_epoch_ * options_.batch;
  const auto size = std::min(options_.batch, count - start);
  const auto share = share_of(size, position_.logical_rank(), position_.ranks());
  const auto height = set_.images.size(1), width = set_.images.size(2);
  ImageBatch batch{
      .images = empty({share.count, 1, height, width}, {DType::f32, Device::cpu()}),
      .labels = empty({share.count}, {DType::i64, Device::cpu()}),
      .weight = static_cast<double>(share.count * position_.ranks().count()) / static_cast<double>(size)};

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
  position_.advance();
  return batch;
}

NamedTensors ImageLoader::state_dict() const {
  return state_of("image loader", position_, settings_of(options_, set_));
}

void ImageLoader::load_state_dict(const NamedTensors& state) {
  position_.go_to(step_in("image loader", state, position_, settings_of(options_, set_)));
}

}  // namespace tutti::data
