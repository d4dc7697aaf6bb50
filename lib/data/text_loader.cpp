#include "tutti/data/text_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "data/file.h"
#include "data/loader_state.h"
#include "tutti/core/error.h"
#include "tutti/data/sample_order.h"
#include "tutti/tensor/creation.h"

namespace tutti::data {
namespace {

std::string bytes_of(const std::string& text) {
  std::array<bool, 256> occurs{};
  for (const char c : text) occurs[static_cast<std::uint8_t>(c)] = true;
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) {
    if (occurs[static_cast<std::size_t>(byte)]) bytes += static_cast<char>(byte);
  }
  return bytes;
}

// The place of each byte in `vocabulary`, -1 for those that do not occur.
std::array<int, 256> places_in(const std::string& vocabulary) {
  std::array<int, 256> places;
  places.fill(-1);
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    places[static_cast<std::uint8_t>(vocabulary[i])] = static_cast<int>(i);
  }
  return places;
}

void check_part(const std::string& path, const char* part, std::size_t size, std::int64_t context) {
  if (size > static_cast<std::size_t>(context)) return;
  throw DataError(fmt::format("text: {}: the {} part has {} characters, and a window takes context + 1 = {}",
                              path, part, size, context + 1));
}

}  // namespace

TextLoader::TextLoader(const std::string& path, const TextOptions& options, const Communicator& world)
    : context_(options.context), seed_(options.seed) {
  const auto share = share_of("text", options.batch, world.rank(), world.size());
  first_ = share.first;
  share_ = share.count;
  if (context_ < 1) throw ConfigError(fmt::format("text: the context must be at least 1, not {}", context_));
  if (!(options.train_share > 0 && options.train_share < 1)) {
    throw ConfigError(fmt::format("text: train_share must be between 0 and 1, not {}", options.train_share));
  }
  const auto text = read_file("text", path);
  if (text.empty()) throw DataError(fmt::format("text: {} is empty", path));
  vocabulary_ = bytes_of(text);
  const auto places = places_in(vocabulary_);
  tokens_.resize(text.size());
  std::ranges::transform(text, tokens_.begin(), [&](char c) {
    return static_cast<std::uint8_t>(places[static_cast<std::uint8_t>(c)]);
  });
  train_size_ = static_cast<std::size_t>(static_cast<double>(text.size()) * options.train_share);
  check_part(path, "training", train_size_, context_);
  check_part(path, "validation", tokens_.size() - train_size_, context_);
}

TextLoader::TextLoader(const std::string& path, const TextOptions& options)
    : TextLoader(path, options, Communicator()) {}

TextBatch TextLoader::windows(std::span<const std::uint8_t> part, std::uint64_t seed,
                              std::uint64_t step) const {
  const Shape shape{share_, context_};
  TextBatch batch{empty(shape, {.dtype = DType::i64}), empty(shape, {.dtype = DType::i64})};
  auto* tokens = batch.tokens.data<std::int64_t>();
  auto* targets = batch.targets.data<std::int64_t>();
  const auto starts = part.size() - static_cast<std::size_t>(context_);
  for (std::int64_t window = 0; window < share_; ++window) {
    const auto start = random_below(starts, seed, step, static_cast<std::uint64_t>(first_ + window));
    const auto* from = part.data() + start;
    tokens = std::copy_n(from, context_, tokens);
    targets = std::copy_n(from + 1, context_, targets);
  }
  return batch;
}

TextBatch TextLoader::next() { return windows(std::span(tokens_).first(train_size_), seed_, position_++); }

TextBatch TextLoader::validation(std::int64_t i) const {
  return windows(std::span(tokens_).subspan(train_size_), ~seed_, static_cast<std::uint64_t>(i));
}

std::vector<std::int64_t> TextLoader::encode(std::string_view text) const {
  const auto places = places_in(vocabulary_);
  std::vector<std::int64_t> tokens;
  for (const char c : text) {
    const int place = places[static_cast<std::uint8_t>(c)];
    if (place < 0) {
      throw DataError(
          fmt::format("text: the byte {:#04x} does not occur in the text", static_cast<std::uint8_t>(c)));
    }
    tokens.push_back(place);
  }
  return tokens;
}

std::string TextLoader::decode(std::span<const std::int64_t> tokens) const {
  std::string text;
  for (const auto token : tokens) {
    if (token < 0 || token >= static_cast<std::int64_t>(vocabulary_.size())) {
      throw DataError(
          fmt::format("text: token {} is outside the vocabulary [0, {})", token, vocabulary_.size()));
    }
    text += vocabulary_[static_cast<std::size_t>(token)];
  }
  return text;
}

NamedTensors TextLoader::state_dict() const {
  const ConstBufferView bytes(vocabulary_.data(), vocabulary_.size(), DType::u8);
  return {named_number("position", position_),
          named_number("seed", seed_),
          {"vocabulary", from_host(bytes, {static_cast<std::int64_t>(vocabulary_.size())})}};
}

void TextLoader::load_state_dict(const NamedTensors& state) {
  const auto loaded = state_dict();
  copy_by_name("text", loaded, state);
  if (!std::ranges::equal(loaded[2].tensor.to_vector<std::uint8_t>(), vocabulary_, {}, {},
                          [](char c) { return static_cast<std::uint8_t>(c); })) {
    throw DataError("text: the state belongs to a text of another vocabulary");
  }
  position_ = number_in(loaded[0]);
  seed_ = number_in(loaded[1]);
}

}  // namespace tutti::data
