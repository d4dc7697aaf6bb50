#include "tutti/data/image_loader.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "tests/data/idx_bytes.h"
#include "tests/support/files.h"
#include "tests/support/message_of.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::data {
namespace {

using test::message_of;
using testing::HasSubstr;

// `count` images of 2 x 3 pixels, all of the value of their index; label index % 10.
ImageSet images(std::int64_t count) {
  auto set = ImageSet{empty({count, 2, 3}, {.dtype = DType::u8}), empty({count}, {.dtype = DType::i64})};
  for (std::int64_t i = 0; i < count; ++i) {
    std::fill_n(set.images.data<std::uint8_t>() + 6 * i, 6, static_cast<std::uint8_t>(i));
    set.labels.data<std::int64_t>()[i] = i % 10;
  }
  return set;
}

// Which images a batch holds, told by their pixels; checks that pixels and labels belong together.
std::vector<int> indices(const ImageBatch& batch) {
  std::vector<int> found;
  for (std::int64_t i = 0; i < batch.labels.numel(); ++i) {
    const auto pixels = batch.images.select(0, i).to_vector<float>();
    const int index = static_cast<int>(pixels.front() + 0.5f);
    EXPECT_THAT(pixels, testing::Each(testing::FloatNear(static_cast<float>(index), 1e-3f)));
    EXPECT_EQ(batch.labels.data<std::int64_t>()[i], index % 10);
    found.push_back(index);
  }
  return found;
}

// With these, a pixel of value v becomes v again.
constexpr double raw_mean = 0, raw_stddev = 1 / 255.0;

TEST(ImageLoader, NormalizesPixels) {
  ImageLoader loader(images(200), {.batch = 200, .shuffle = false, .mean = 0.5, .stddev = 0.25});
  const auto batch = loader.next();
  EXPECT_EQ(batch.images.shape(), (Shape{200, 1, 2, 3}));
  EXPECT_EQ(batch.images.dtype(), DType::f32);
  EXPECT_NEAR(batch.images.data<float>()[0], -2, 1e-6);
  EXPECT_NEAR(batch.images.data<float>()[6 * 51], (0.2 - 0.5) / 0.25, 1e-6);
}

TEST(ImageLoader, AnEpochHoldsEachImageOnce) {
  ImageLoader loader(images(100), {.batch = 32, .mean = raw_mean, .stddev = raw_stddev});
  EXPECT_EQ(loader.steps_per_epoch(), 4);
  std::vector<std::vector<int>> epochs;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<int> all;
    for (int step = 0; step < 4; ++step) {
      EXPECT_EQ(loader.epoch(), epoch);
      const auto found = indices(loader.next());
      EXPECT_EQ(found.size(), step < 3 ? 32u : 4u);
      all.insert(all.end(), found.begin(), found.end());
    }
    epochs.push_back(all);
    std::ranges::sort(all);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(all[std::size_t(i)], i);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_FALSE(std::ranges::is_sorted(epochs[0]));
}

TEST(ImageLoader, DropsTheLastBatchWhereAsked) {
  ImageLoader loader(images(100), {.batch = 32, .drop_last = true, .mean = raw_mean, .stddev = raw_stddev});
  EXPECT_EQ(loader.steps_per_epoch(), 3);
  for (int step = 0; step < 7; ++step) EXPECT_EQ(indices(loader.next()).size(), 32u);
  EXPECT_EQ(loader.epoch(), 2);
}

TEST(ImageLoader, GoesOnFromItsState) {
  const ImageOptions options{.batch = 10, .seed = ~0ull, .mean = raw_mean, .stddev = raw_stddev};
  ImageLoader a(images(35), options), b(images(35), options);
  for (int step = 0; step < 6; ++step) a.next();
  b.load_state_dict(a.state_dict());
  EXPECT_EQ(b.epoch(), 1);
  for (int step = 0; step < 6; ++step) EXPECT_EQ(indices(a.next()), indices(b.next()));
  EXPECT_THROW(b.load_state_dict({}), DataError);
}

TEST(ImageLoader, RefusesBatchesThatLogicalRanksCannotShare) {
  const auto ranks = World::threads(3);
  const auto refused = [&](std::int64_t count, const ImageOptions& options) {
    return message_of<ConfigError>([&] { ImageLoader(images(count), options, ranks[0]); });
  };
  EXPECT_THAT(refused(100, {.batch = 30}), HasSubstr("must divide by the number of logical ranks: 30 by 4"));
  EXPECT_EQ(refused(99, {.batch = 32}), "nothing was thrown");
  EXPECT_THAT(refused(10, {.batch = 32, .drop_last = true}),
              HasSubstr("10 images do not fill a batch of 32"));
  EXPECT_THAT(refused(0, {.batch = 4}), HasSubstr("0 images"));
  EXPECT_THAT(refused(9, {.batch = 0}), HasSubstr("at least 1, not 0"));
  EXPECT_THAT(refused(9, {.batch = 4, .stddev = 0}), HasSubstr("stddev must be above 0"));
}

TEST(ImageLoader, SplitsASet) {
  const auto set = images(100).slice(90, 100);
  EXPECT_EQ(set.size(), 10);
  ImageLoader loader(set, {.batch = 10, .shuffle = false, .mean = raw_mean, .stddev = raw_stddev});
  EXPECT_THAT(indices(loader.next()), testing::ElementsAre(90, 91, 92, 93, 94, 95, 96, 97, 98, 99));
  EXPECT_THROW(images(100).slice(90, 101), ShapeError);
  EXPECT_THROW(images(100).slice(-1, 10), ShapeError);
}

class Mnist : public testing::Test {
 protected:
  std::string file(const char* name, const std::string& bytes) {
    test::write_file(directory_ / name, bytes);
    return directory_ / name;
  }
  std::string refused(const std::string& images, const std::string& labels) {
    return message_of<DataError>([&] { read_mnist(images, labels); });
  }
  test::TemporaryDirectory directory_;
};

TEST_F(Mnist, ReadsAPairOfFiles) {
  const auto set = read_mnist(file("images", test::gzip(test::idx(8, {2, 1, 2}, "abcd"))),
                              file("labels", test::idx(8, {2}, std::string("\3\0", 2))));
  EXPECT_EQ(set.images.shape(), (Shape{2, 1, 2}));
  EXPECT_EQ(set.images.to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{'a', 'b', 'c', 'd'}));
  EXPECT_EQ(set.labels.to_vector<std::int64_t>(), (std::vector<std::int64_t>{3, 0}));
}

TEST_F(Mnist, RefusesFilesThatAreSomethingElse) {
  const auto pixels = file("images", test::idx(8, {2, 1, 2}, "abcd"));
  const auto labels = file("labels", test::idx(8, {2}, "\1\2"));
  EXPECT_THAT(refused(labels, labels),
              HasSubstr("labels: images are u8 of 3 dimensions, this file holds u8 [2]"));
  EXPECT_THAT(refused(pixels, pixels),
              HasSubstr("images: labels are u8 of 1 dimensions, this file holds u8 [2, 1, 2]"));
  EXPECT_THAT(refused(pixels, file("three", test::idx(8, {3}, "\1\2\3"))), HasSubstr("2 images in"));
  EXPECT_THAT(refused(pixels, file("bad", test::idx(8, {2}, "\1\x0a"))),
              HasSubstr("bad: label 1 is 10, and there are 10 classes"));
  EXPECT_THAT(refused(file("wide", test::idx(13, {1, 1, 1}, "abcd")), labels),
              HasSubstr("this file holds f32 [1, 1, 1]"));
  EXPECT_THAT(refused(file("none", test::idx(8, {0, 28, 28}, "")), file("no", test::idx(8, {0}, ""))),
              HasSubstr("holds no pixels: [0, 28, 28]"));
  EXPECT_THAT(refused(directory_ / "missing", labels), HasSubstr("No such file"));
}

TEST(MnistReal, HasItsKnownContents) {
  const char* data = std::getenv("TUTTI_TEST_DATA");
  if (!data) GTEST_SKIP() << "TUTTI_TEST_DATA is not set";
  const auto folder = std::string(data) + "/mnist/";
  const auto set = read_mnist(folder + "t10k-images-idx3-ubyte.gz", folder + "t10k-labels-idx1-ubyte.gz");
  EXPECT_EQ(set.images.shape(), (Shape{10'000, 28, 28}));
  const auto labels = set.labels.to_vector<std::int64_t>();
  EXPECT_EQ(std::vector(labels.begin(), labels.begin() + 5), (std::vector<std::int64_t>{7, 2, 1, 0, 4}));
  ImageLoader loader(set.slice(0, 9'000));
  double sum = 0;
  for (int step = 0; step < 70; ++step) {
    for (const float x : loader.next().images.to_vector<float>()) sum += x;
  }
  EXPECT_NEAR(sum / (70 * 128 * 784), 0, 0.02);
}

}  // namespace
}  // namespace tutti::data
