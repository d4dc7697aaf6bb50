// A global batch is the same in any world: how ranks share the logical ranks doesn't show in the samples.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <numeric>

#include "tests/support/files.h"
#include "tests/support/message_of.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"
#include "tutti/data/image_loader.h"
#include "tutti/data/text_loader.h"
#include "tutti/tensor/creation.h"

namespace tutti::data {
namespace {

using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

std::vector<Communicator> world_of(int size, int logical_ranks) {
  auto ranks = World::threads(size);
  for (auto& rank : ranks) rank.set_logical_ranks(logical_ranks);
  return ranks;
}

Communicator alone_with(int logical_ranks) {
  Communicator rank;
  rank.set_logical_ranks(logical_ranks);
  return rank;
}

using Samples = std::vector<std::vector<std::int64_t>>;  // of the micro-batches of one step

// What tells the samples of a micro-batch apart.
std::vector<std::int64_t> samples_in(const TextBatch& batch) {
  auto samples = batch.tokens.to_vector<std::int64_t>();
  const auto targets = batch.targets.to_vector<std::int64_t>();
  samples.insert(samples.end(), targets.begin(), targets.end());
  return samples;
}
std::vector<std::int64_t> samples_in(const ImageBatch& batch) {
  EXPECT_EQ(batch.images.size(0), batch.labels.numel());
  return batch.labels.to_vector<std::int64_t>();
}

// All micro-batches of the next step, from loaders that are those of all ranks.
template <typename Loader>
Samples step_of(std::vector<Loader>& loaders, const std::vector<Communicator>& ranks) {
  Samples step;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    for ([[maybe_unused]] const int v : ranks[r].logical_ranks())
      step.push_back(samples_in(loaders[r].next()));
  }
  return step;
}

// `count` images of 2 x 3 pixels, each with a label of its own.
ImageSet some_images(std::int64_t count) {
  return {zeros({count, 2, 3}, {.dtype = DType::u8}), arange(count)};
}

class Worlds : public testing::Test {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 1000; i < 1500; ++i) text += std::to_string(i);
    test::write_file(path_, text);
  }
  TextLoader text(const Communicator& rank, const TextOptions& options = {.batch = 16, .context = 4}) const {
    return {path_, options, rank};
  }
  static ImageLoader image(const Communicator& rank, const ImageOptions& options = {.batch = 16}) {
    return {some_images(100), options, rank};
  }
  template <typename Make>
  static auto loaders(const std::vector<Communicator>& ranks, const Make& make) {
    std::vector<decltype(make(ranks[0]))> all;
    for (const auto& rank : ranks) all.push_back(make(rank));
    return all;
  }

  test::TemporaryDirectory directory_;
  std::string path_ = directory_ / "text";
};

TEST_F(Worlds, LogicalRanksShareTheBatchOfOne) {
  const auto whole = TextLoader(path_, {.batch = 16, .context = 4}).next();
  const auto all_images = ImageLoader(some_images(100), {.batch = 16}).next();
  for (const int count : {1, 2, 4, 8, 16}) {
    const auto rank = alone_with(count);
    auto texts = text(rank);
    auto pictures = image(rank);
    for (int v = 0; v < count; ++v) {
      const int first = v * 16 / count, end = (v + 1) * 16 / count;
      const TextBatch part{whole.tokens.slice(0, first, end), whole.targets.slice(0, first, end)};
      EXPECT_EQ(samples_in(texts.next()), samples_in(part));
      EXPECT_EQ(pictures.next().labels.to_vector<std::int64_t>(),
                all_images.labels.slice(0, first, end).to_vector<std::int64_t>());
    }
  }
}

TEST_F(Worlds, HaveTheMicroBatchesOfOneRank) {
  const auto make_text = [this](const Communicator& rank) { return text(rank); };
  const auto make_image = [](const Communicator& rank) { return image(rank); };
  const auto one = world_of(1, 8);
  for (int size = 1; size <= 8; ++size) {
    const auto ranks = world_of(size, 8);
    auto texts = loaders(ranks, make_text), one_text = loaders(one, make_text);
    auto pictures = loaders(ranks, make_image), one_image = loaders(one, make_image);
    for (int step = 0; step < 15; ++step) {  // images: two epochs of seven steps, the last of four images
      EXPECT_EQ(step_of(texts, ranks), step_of(one_text, one)) << size << " ranks, step " << step;
      EXPECT_EQ(step_of(pictures, ranks), step_of(one_image, one)) << size << " ranks, step " << step;
    }
    for (int v = 0; v < 8; ++v) {
      EXPECT_EQ(samples_in(texts.back().validation(3, v)), samples_in(one_text[0].validation(3, v)));
    }
  }
}

TEST_F(Worlds, GoOnFromEachOthersStates) {
  const auto make_text = [this](const Communicator& rank) { return text(rank); };
  const auto make_image = [](const Communicator& rank) { return image(rank); };
  const auto one = world_of(1, 8);
  auto whole_text = loaders(one, make_text);
  auto whole_image = loaders(one, make_image);
  NamedTensors text_state, image_state;
  int done = 0;
  for (const int size : {1, 3, 8, 5, 2}) {
    const auto ranks = world_of(size, 8);
    auto texts = loaders(ranks, make_text);
    auto pictures = loaders(ranks, make_image);
    for (int r = 0; r < size && done > 0; ++r) {
      texts[std::size_t(r)].load_state_dict(text_state);
      pictures[std::size_t(r)].load_state_dict(image_state);
    }
    for (int step = 0; step < 4; ++step, ++done) {  // into the middle of an epoch of seven
      EXPECT_EQ(step_of(texts, ranks), step_of(whole_text, one)) << size << " ranks, step " << done;
      EXPECT_EQ(step_of(pictures, ranks), step_of(whole_image, one)) << size << " ranks, step " << done;
    }
    text_state = texts.back().state_dict();
    image_state = pictures.back().state_dict();
  }
}

TEST_F(Worlds, ShareTheLastImagesOfAnEpochUnevenly) {
  const auto rank = alone_with(8);
  const auto last_of = [&](std::int64_t count) {
    ImageLoader loader(some_images(16 + count), {.batch = 16}, rank);
    for (int v = 0; v < 8; ++v) EXPECT_EQ(loader.next().weight, 1);
    std::vector<ImageBatch> last;
    for (int v = 0; v < 8; ++v) last.push_back(loader.next());
    EXPECT_EQ(loader.epoch(), 1);
    return last;
  };
  for (std::int64_t count = 1; count < 16; ++count) {
    const auto last = last_of(count);
    double weights = 0, weighted = 0, sum = 0;
    std::int64_t images = 0;
    for (const auto& [pictures, labels, weight] : last) {
      const auto size = labels.numel();
      EXPECT_EQ(pictures.shape(), (Shape{size, 1, 2, 3}));
      EXPECT_EQ(weight, static_cast<double>(size * 8) / static_cast<double>(count));
      EXPECT_LE(size, (count + 7) / 8);
      EXPECT_GE(size, count / 8);
      const auto values = labels.to_vector<std::int64_t>();
      const auto total = static_cast<double>(std::accumulate(values.begin(), values.end(), std::int64_t{0}));
      images += size;
      weights += weight;
      sum += total;
      if (size > 0) weighted += weight * total / static_cast<double>(size);
    }
    EXPECT_EQ(images, count);
    EXPECT_NEAR(weights / 8, 1, 1e-12);
    EXPECT_NEAR(weighted / 8, sum / static_cast<double>(count), 1e-9) << "not the mean over all images";
  }
  const auto four = last_of(4);
  EXPECT_EQ(four[0].weight, 0);
  EXPECT_EQ(four[0].images.shape(), (Shape{0, 1, 2, 3}));
  EXPECT_EQ(four[1].weight, 2);
}

TEST_F(Worlds, HaveNoStateInTheMiddleOfAStep) {
  const auto ranks = world_of(3, 8);  // of two, two and four logical ranks
  auto texts = text(ranks[0]);
  auto pictures = image(ranks[0]);
  const auto text_state = texts.state_dict(), image_state = pictures.state_dict();
  const int local = ranks[0].logical_ranks().local_count();
  for (int taken = 0; taken < local; ++taken) {
    texts.next();
    pictures.next();
  }
  EXPECT_EQ(texts.state_dict()[0].tensor.item<int>(), 1);
  const auto first = samples_in(texts.next());
  pictures.next();
  const auto rule = fmt::format("of step 1, 1 of the {} micro-batches of this rank were taken", local);
  EXPECT_THAT(message_of<DataError>([&] { texts.state_dict(); }),
              AllOf(HasSubstr("text: "), HasSubstr(rule)));
  EXPECT_THAT(message_of<DataError>([&] { pictures.state_dict(); }),
              AllOf(HasSubstr("image loader: "), HasSubstr(rule)));
  // A step that was given up can be begun anew.
  texts.load_state_dict(text_state);
  pictures.load_state_dict(image_state);
  EXPECT_EQ(pictures.state_dict()[0].tensor.item<int>(), 0);
  for (int taken = 0; taken < local; ++taken) texts.next();
  EXPECT_EQ(samples_in(texts.next()), first);
}

TEST_F(Worlds, RefuseTheStateOfOtherLogicalRanks) {
  const auto eight = alone_with(8), four = alone_with(4);
  const auto advice = AllOf(HasSubstr("logical_ranks is 8 in the state and 4 in this loader"),
                            HasSubstr("set WorldOptions::logical_ranks or TUTTI_LOGICAL_RANKS to 8"));
  EXPECT_THAT(message_of<DataError>([&] { text(four).load_state_dict(text(eight).state_dict()); }), advice);
  EXPECT_THAT(message_of<DataError>([&] { image(four).load_state_dict(image(eight).state_dict()); }), advice);
}

TEST_F(Worlds, RefuseTheStateOfOtherSamples) {
  const auto rank = alone_with(2);
  const auto refused_text = [&](const TextOptions& options) {
    auto loader = text(rank, {.batch = 16, .context = 4, .seed = ~0ull});
    return message_of<DataError>([&] { loader.load_state_dict(text(rank, options).state_dict()); });
  };
  EXPECT_EQ(refused_text({.batch = 16, .context = 4, .seed = ~0ull}), "nothing was thrown");
  EXPECT_THAT(
      refused_text({.batch = 8, .context = 4, .seed = ~0ull}),
      HasSubstr("batch is 8 in the state and 16 in this loader: its position stands for other samples"));
  EXPECT_THAT(refused_text({.batch = 16, .context = 4, .seed = 7}),
              HasSubstr("seed is 7 in the state and 18446744073709551615 in this loader"));
  EXPECT_THAT(refused_text({.batch = 16, .context = 5, .seed = ~0ull}),
              HasSubstr("windows is 1795 in the state and 1796 in this loader"));
  EXPECT_THAT(refused_text({.batch = 16, .context = 4, .seed = ~0ull, .train_share = 0.5}),
              HasSubstr("windows is 996 in the state and 1796 in this loader"));

  const auto refused_images = [&](std::int64_t count, const ImageOptions& options) {
    auto loader = image(rank);
    return message_of<DataError>(
        [&] { loader.load_state_dict(ImageLoader(some_images(count), options, rank).state_dict()); });
  };
  EXPECT_EQ(refused_images(100, {.batch = 16, .mean = 0, .stddev = 1}), "nothing was thrown");
  EXPECT_THAT(refused_images(100, {.batch = 18}),
              HasSubstr("batch is 18 in the state and 16 in this loader"));
  EXPECT_THAT(refused_images(100, {.batch = 16, .seed = 2}), HasSubstr("seed is 2 in the state and 1 in"));
  EXPECT_THAT(refused_images(101, {.batch = 16}),
              HasSubstr("images is 101 in the state and 100 in this loader"));
  EXPECT_THAT(refused_images(100, {.batch = 16, .shuffle = false}),
              HasSubstr("shuffle is 0 in the state and 1"));
  EXPECT_THAT(refused_images(100, {.batch = 16, .drop_last = true}),
              HasSubstr("drop_last is 1 in the state"));
}

TEST_F(Worlds, RefuseToGoToWhereNothingIs) {
  auto loader = image(alone_with(2));
  const auto before = loader.state_dict();
  auto state = loader.state_dict();
  state[0].tensor.fill_(-1);
  EXPECT_THAT(message_of<DataError>([&] { loader.load_state_dict(state); }),
              HasSubstr("must not be negative: -1"));
  EXPECT_EQ(loader.state_dict()[0].tensor.item<int>(), 0);
}

TEST_F(Worlds, ValidateByLogicalRank) {
  const auto loader = text(alone_with(8));
  EXPECT_THROW(loader.validation(0, 8), ShapeError);
  EXPECT_THROW(loader.validation(0, -1), ShapeError);
  try {
    loader.validation(0);
    FAIL() << "nothing was thrown";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("is for one logical rank; of 8, say which"));
  }
  const auto one = text(alone_with(1));
  EXPECT_EQ(samples_in(one.validation(5)), samples_in(one.validation(5, 0)));
}

}  // namespace
}  // namespace tutti::data
