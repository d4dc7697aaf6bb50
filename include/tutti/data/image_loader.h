/// \file
/// Labelled images in memory, as shuffled batches.
#pragma once

#include <cstdint>
#include <string>

#include "tutti/comm/communicator.h"
#include "tutti/tensor/named_tensor.h"

namespace tutti::data {

/// Grey images with a label each.
struct ImageSet {
  Tensor images;  ///< u8 [count, height, width]
  Tensor labels;  ///< i64 [count]

  std::int64_t size() const { return labels.numel(); }
  /// Images `begin` to `end` - 1, without a copy. \throws ShapeError when the set has no such images.
  ImageSet slice(std::int64_t begin, std::int64_t end) const;
};

/// MNIST and its kin: a pair of IDX files, gzip or not.
/// \throws DataError naming the file that cannot be read or holds something else (labels for images, say),
///         and when the two do not belong together or a label is not below `classes`.
ImageSet read_mnist(const std::string& images, const std::string& labels, std::int64_t classes = 10);

struct ImageOptions {
  std::int64_t batch = 128;  ///< images in a step, over all ranks; divides by their number
  std::uint64_t seed = 1;
  bool shuffle = true;  ///< another order each epoch
  /// Leaves out the images of an epoch that do not fill a batch; else it ends with fewer.
  bool drop_last = false;
  double mean = 0.1307;  ///< of the pixels, on the scale 0 to 1: MNIST's own
  double stddev = 0.3081;
};

/// `images` is f32 [batch, 1, height, width], less `mean` and divided by `stddev`; `labels` is i64 [batch].
struct ImageBatch {
  Tensor images;
  Tensor labels;
};

/// Batches of an image set, epoch after epoch. Which images step i holds depends on (seed, i) alone; of
/// these, rank r of n gets the r-th n-th.
class ImageLoader {
 public:
  /// \throws ConfigError when a batch, or the shorter one at the end of an epoch, does not divide by the
  ///         number of ranks, when an epoch has no batch, or an option is out of range.
  ImageLoader(ImageSet set, const ImageOptions& options, const Communicator& world);
  explicit ImageLoader(ImageSet set, const ImageOptions& options = {});

  /// This rank's images of the next step.
  ImageBatch next();

  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  /// Of the step to come, from 0.
  std::int64_t epoch() const { return position_ / steps_per_epoch_; }

  /// "position" (the step to come) and "seed", i64 [].
  NamedTensors state_dict() const;
  /// \throws DataError when the state is another one's.
  void load_state_dict(const NamedTensors& state);

 private:
  ImageSet set_;
  ImageOptions options_;
  std::int64_t rank_;
  std::int64_t ranks_;
  std::int64_t steps_per_epoch_;
  std::int64_t position_ = 0;
};

}  // namespace tutti::data
