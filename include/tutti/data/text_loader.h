/// \file
/// Text, character by character, as batches for a language model.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tutti/comm/communicator.h"
#include "tutti/data/position.h"
#include "tutti/tensor/named_tensor.h"

namespace tutti::data {

struct TextOptions {
  std::int64_t batch = 32;     ///< windows in a step; divides by the number of logical ranks
  std::int64_t context = 256;  ///< characters in a window
  std::uint64_t seed = 1;
  double train_share = 0.9;  ///< of the text, from its start; the rest is for validation
};

/// A micro-batch. `targets` is `tokens` one character further on; both i64 [windows, context].
struct TextBatch {
  Tensor tokens;
  Tensor targets;
};

/// Random windows of a text file, as in nanoGPT. A token is the place of a byte among the bytes that occur in
/// the text. Which windows step i holds depends on (seed, i) alone; of these, logical rank v of V has the v-th V-th,
/// whichever rank has that (see LogicalRanks).
class TextLoader {
 public:
  /// \throws DataError when the file cannot be read, or a part of it is shorter than context + 1 characters.
  /// \throws ConfigError when `batch` does not divide by the number of logical ranks of `world`, or an option is out
  ///         of range.
  TextLoader(const std::string& path, const TextOptions& options, const Communicator& world);
  explicit TextLoader(const std::string& path, const TextOptions& options = {});

  /// The windows of this rank's next logical rank, from the training part; after its last one the next step begins.
  TextBatch next();
  /// Windows number `i` of the validation part, those of logical rank `v`, of this rank or another: the same whenever
  /// asked, independent of `next`. \throws ShapeError when there is no such logical rank.
  TextBatch validation(std::int64_t i, int v) const;
  /// The same where there is one logical rank. \throws ConfigError where there are more.
  TextBatch validation(std::int64_t i) const;

  /// The bytes that occur in the text, sorted; token t is `vocabulary()[t]`.
  const std::string& vocabulary() const { return vocabulary_; }
  /// \throws DataError naming a character that is not in the vocabulary.
  std::vector<std::int64_t> encode(std::string_view text) const;
  /// \throws DataError for a token outside the vocabulary.
  std::string decode(std::span<const std::int64_t> tokens) const;

  /// "position" (the step to come) and what makes it stand for the same windows: "logical_ranks", "batch", "seed" and
  /// "windows" (that the training part has), all i64 [], and "vocabulary", u8 [size].
  /// \throws DataError in the middle of a step, when some of this rank's micro-batches were taken.
  NamedTensors state_dict() const;
  /// Goes to the beginning of the step that the state tells, also from the middle of one.
  /// \throws DataError when the state is that of another text or of other options: it names both values.
  void load_state_dict(const NamedTensors& state);

 private:
  TextBatch windows(std::span<const std::uint8_t> part, std::uint64_t seed, std::int64_t step, int v) const;

  TextOptions options_;
  Position position_;
  std::string vocabulary_;
  std::vector<std::uint8_t> tokens_;
  std::size_t train_size_;
};

}  // namespace tutti::data
