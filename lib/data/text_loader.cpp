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

// The windows that `part` has.
std::size_t starts_in(std::size_t part, std::int64_t context) {
  return part - static_cast<std::size_t>(context);
}

Settings settings_of(const TextOptions& options, std::size_t train_size) {
  return {{"batch", static_cast<std::uint64_t>(options.batch)},
          {"seed", options.seed},
          {"windows", starts_in(train_size, options.context)}};
}

}  // namespace

TextLoader::TextLoader(const std::string& path, const TextOptions& options, const Communicator& world)
    : options_(options), position_(world.logical_ranks()) {
  check_batch("text", options.batch, position_.ranks());
  if (options.context < 1) {
    throw ConfigError(fmt::format("text: the context must be at least 1, not {}", options.context));
  }
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
  check_part(path, "training", train_size_, options.context);
  check_part(path, "validation", tokens_.size() - train_size_, options.context);
}

TextLoader::TextLoader(const std::string& path, const TextOptions& options)
    : TextLoader(path, options, Communicator()) {}

TextBatch TextLoader::windows(std::span<const std::uint8_t> part, std::uint64_t seed, std::int64_t step,
                              int v) const {
  const auto context = options_.context;
  const auto share = share_of(options_.batch, v, position_.ranks());
  const Shape shape{share.count, context};
  TextBatch batch{empty(shape, {DType::i64, Device::cpu()}), empty(shape, {DType::i64, Device::cpu()})};
  auto* tokens = batch.tokens.data<std::int64_t>();
  auto* targets = batch.targets.data<std::int64_t>();
  const auto starts = starts_in(part.size(), context);
  for (std::int64_t window = share.first; window < share.first + share.count; ++window) {
    const auto start =
        random_below(starts, seed, static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(window));
    const auto* from = part.data() + start;
    tokens = std::copy_n(from, context, tokens);
    targets = std::copy_n(from + 1, context, targets);
  }
  return batch;
}

TextBatch TextLoader::next() {
  auto batch = windows(std::span(tokens_).first(train_size_), options_.seed, position_.step(),
                       position_.logical_rank());
  position_.advance();
  return batch;
}

TextBatch TextLoader::validation(std::int64_t i, int v) const {
  const int count = position_.ranks().count();
  if (v < 0 || v >= count)
    throw ShapeError(fmt::format("text: logical rank {} is outside [0, {})", v, count));
  return windows(std::span(tokens_).subspan(train_size_), ~options_.seed, i, v);
}

TextBatch TextLoader::validation(std::int64_t i) const {
  if (const int count = position_.ranks().count(); count != 1) {
    throw ConfigError(fmt::format(
        "text: validation(i) is for one logical rank; of {}, say which: validation(i, v)", count));
  }
  return validation(i, 0);
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
  auto state = state_of("text", position_, settings_of(options_, train_size_));
  const ConstBufferView bytes(vocabulary_.data(), vocabulary_.size(), DType::u8);
  state.push_back(
      {"vocabulary", from_host(bytes, {static_cast<std::int64_t>(vocabulary_.size())}, Device::cpu())});
  return state;
}

void TextLoader::load_state_dict(const NamedTensors& state) {
  const Shape size{static_cast<std::int64_t>(vocabulary_.size())};
  const NamedTensor vocabulary{"vocabulary", empty(size, {DType::u8, Device::cpu()})};
  const auto step = step_in("text", state, position_, settings_of(options_, train_size_), {vocabulary});
  if (!std::ranges::equal(vocabulary.tensor.to_vector<std::uint8_t>(), vocabulary_, {}, {},
                          [](char c) { return static_cast<std::uint8_t>(c); })) {
    throw DataError("text: the state belongs to a text of another vocabulary");
  }
  position_.go_to(step);
}

}  // namespace tutti::data
