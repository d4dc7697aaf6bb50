/// \file
/// Labelled images in memory, as shuffled batches.
#pragma once

#include <cstdint>
#include <string>

#include "tutti/comm/communicator.h"
#include "tutti/data/position.h"
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
  std::int64_t batch = 128;  ///< images in a step; divides by the number of logical ranks
  std::uint64_t seed = 1;
  bool shuffle = true;  ///< another order each epoch
  /// Leaves out the images of an epoch that do not fill a batch; else it ends with fewer.
  bool drop_last = false;
  double mean = 0.1307;  ///< of the pixels, on the scale 0 to 1: MNIST's own
  double stddev = 0.3081;
};

/// A micro-batch. `images` is f32 [count, 1, height, width], less `mean` and divided by `stddev`; `labels` is
/// i64 [count].
struct ImageBatch {
  Tensor images;
  Tensor labels;
  /// `count` over its mean in this step, for `parallel.backward(loss, weight)`. Not 1 only where an epoch ends with a
  /// batch that the logical ranks cannot share evenly; 0 where nothing is left for this one.
  double weight = 1;
};

/// Batches of an image set, epoch after epoch. Which images step i holds depends on (seed, i) alone; of n images,
/// logical rank v of V has those from v * n / V to (v + 1) * n / V - 1, rounded down, whichever rank has that (see
/// LogicalRanks).
class ImageLoader {
 public:
  /// \throws ConfigError when `batch` does not divide by the number of logical ranks of `world`, when an epoch has no
  ///         batch, or an option is out of range.
  ImageLoader(ImageSet set, const ImageOptions& options, const Communicator& world);
  explicit ImageLoader(ImageSet set, const ImageOptions& options = {});

  /// The images of this rank's next logical rank; after its last one the next step begins.
  ImageBatch next();

  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  /// Of the images to come, from 0.
  std::int64_t epoch() const { return position_.step() / steps_per_epoch_; }

  /// "position" (the step to come) and what makes it stand for the same images: "logical_ranks", "batch", "seed",
  /// "images" (that the set has), "shuffle" and "drop_last", all i64 [].
  /// \throws DataError in the middle of a step, when some of this rank's micro-batches were taken.
  NamedTensors state_dict() const;
  /// Goes to the beginning of the step that the state tells, also from the middle of one.
  /// \throws DataError when the state is that of a set of another size or of other options: it names both values.
  void load_state_dict(const NamedTensors& state);

 private:
  ImageSet set_;
  ImageOptions options_;
  Position position_;
  std::int64_t steps_per_epoch_;
};

}  // namespace tutti::data
