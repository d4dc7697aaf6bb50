/// \file
/// Text, character by character, as batches for a language model.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tutti/comm/communicator.h"
#include "tutti/tensor/named_tensor.h"

namespace tutti::data {

struct TextOptions {
  std::int64_t batch = 32;     ///< windows in a step, over all ranks; divides by their number
  std::int64_t context = 256;  ///< characters in a window
  std::uint64_t seed = 1;
  double train_share = 0.9;  ///< of the text, from its start; the rest is for validation
};

/// `targets` is `tokens` one character further on; both i64 [windows, context].
struct TextBatch {
  Tensor tokens;
  Tensor targets;
};

/// Random windows of a text file, as in nanoGPT. A token is the place of a byte among the bytes that occur in
/// the text. Which windows step i holds depends on (seed, i) alone; of these, rank r of n gets the r-th n-th.
class TextLoader {
 public:
  /// \throws DataError when the file cannot be read, or a part of it is shorter than context + 1 characters.
  /// \throws ConfigError when `batch` does not divide by the number of ranks, or an option is out of range.
  TextLoader(const std::string& path, const TextOptions& options, const Communicator& world);
  explicit TextLoader(const std::string& path, const TextOptions& options = {});

  /// This rank's windows of the next step, from the training part.
  TextBatch next();
  /// This rank's windows number `i` of the validation part: the same whenever asked, independent of `next`.
  TextBatch validation(std::int64_t i) const;

  /// The bytes that occur in the text, sorted; token t is `vocabulary()[t]`.
  const std::string& vocabulary() const { return vocabulary_; }
  /// \throws DataError naming a character that is not in the vocabulary.
  std::vector<std::int64_t> encode(std::string_view text) const;
  /// \throws DataError for a token outside the vocabulary.
  std::string decode(std::span<const std::int64_t> tokens) const;

  /// "position" (the step to come) and "seed", i64 [], and "vocabulary", u8 [size].
  NamedTensors state_dict() const;
  /// \throws DataError also when the state belongs to a text of another vocabulary.
  void load_state_dict(const NamedTensors& state);

 private:
  TextBatch windows(std::span<const std::uint8_t> part, std::uint64_t seed, std::uint64_t step) const;

  std::int64_t context_;
  std::int64_t first_;  // of this rank's windows within a batch
  std::int64_t share_;
  std::uint64_t seed_;
  std::uint64_t position_ = 0;
  std::string vocabulary_;
  std::vector<std::uint8_t> tokens_;
  std::size_t train_size_;
};

}  // namespace tutti::data
