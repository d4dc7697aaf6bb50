#include "tutti/data/text_loader.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <functional>
#include <set>

#include "tests/support/files.h"
#include "tests/support/message_of.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::data {
namespace {

using test::message_of;
using testing::HasSubstr;

// 2000 characters in which every five in a row are unlike any others.
std::string numbers() {
  std::string text;
  for (int i = 1000; i < 1500; ++i) text += std::to_string(i);
  return text;
}

class TextLoaderTest : public testing::Test {
 protected:
  std::string file(const std::string& text) {
    test::write_file(directory_ / "input.txt", text);
    return directory_ / "input.txt";
  }
  test::TemporaryDirectory directory_;
};

TEST_F(TextLoaderTest, TokensArePlacesAmongTheSortedBytes) {
  TextLoader loader(file("hello world, hello\n\xff"), {.context = 1, .train_share = 0.5});
  EXPECT_EQ(loader.vocabulary(), "\n ,dehlorw\xff");
  EXPECT_EQ(loader.encode("hell"), (std::vector<std::int64_t>{5, 4, 6, 6}));
  EXPECT_EQ(loader.decode(loader.encode("world \xff")), "world \xff");
  EXPECT_THAT(message_of<DataError>([&] { loader.encode("x"); }), HasSubstr("0x78 does not occur"));
  const std::vector<std::int64_t> outside{0, 11};
  EXPECT_THAT(message_of<DataError>([&] { loader.decode(outside); }),
              HasSubstr("token 11 is outside the vocabulary [0, 11)"));
  const std::vector<std::int64_t> negative{-1};
  EXPECT_THROW(loader.decode(negative), DataError);
}

TEST_F(TextLoaderTest, TargetsAreOneCharacterOn) {
  const auto text = numbers();
  TextLoader loader(file(text), {.batch = 50, .context = 8});
  const auto [tokens, targets] = loader.next();
  EXPECT_EQ(tokens.shape(), (Shape{50, 8}));
  EXPECT_EQ(tokens.dtype(), DType::i64);
  EXPECT_EQ(targets.shape(), (Shape{50, 8}));
  for (int i = 0; i < 50; ++i) {
    const auto window = loader.decode(tokens.select(0, i).to_vector<std::int64_t>());
    const auto next = loader.decode(targets.select(0, i).to_vector<std::int64_t>());
    EXPECT_EQ(window.substr(1), next.substr(0, 7));
    EXPECT_NE(text.find(window + next.back()), std::string::npos) << window;
  }
}

TEST_F(TextLoaderTest, KeepsTheEndOfTheTextForValidation) {
  // 'a' for the first 90 %, 'b' behind it; with short windows every start must come up.
  TextLoader loader(file(std::string(90, 'a') + std::string(10, 'b')), {.batch = 64, .context = 9});
  for (int i = 0; i < 10; ++i) {
    const auto batch = loader.next();
    EXPECT_THAT(batch.tokens.to_vector<std::int64_t>(), testing::Each(0));
    EXPECT_THAT(batch.targets.to_vector<std::int64_t>(), testing::Each(0));
    EXPECT_THAT(loader.validation(i).targets.to_vector<std::int64_t>(), testing::Each(1));
  }
}

TEST_F(TextLoaderTest, EveryWindowOfTheTrainingPartComesUp) {
  const auto text = numbers().substr(0, 100);
  TextLoader loader(file(text), {.batch = 64, .context = 6});
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    const auto batch = loader.next();
    for (int w = 0; w < 64; ++w) {
      seen.insert(loader.decode(batch.tokens.select(0, w).to_vector<std::int64_t>()) +
                  loader.decode(batch.targets.select(0, w).to_vector<std::int64_t>()).back());
    }
  }
  std::set<std::string> all;
  for (std::size_t start = 0; start + 7 <= 90; ++start) all.insert(text.substr(start, 7));
  EXPECT_EQ(seen, all);
}

TEST_F(TextLoaderTest, GoesOnFromItsState) {
  const auto path = file(numbers());
  const TextOptions options{.batch = 4, .context = 8, .seed = ~0ull};
  TextLoader a(path, options), b(path, options);
  const auto first = a.next().tokens.to_vector<std::int64_t>();
  const auto state = a.state_dict();
  const auto second = a.next().tokens.to_vector<std::int64_t>();
  EXPECT_NE(first, second);
  b.load_state_dict(state);
  EXPECT_EQ(b.next().tokens.to_vector<std::int64_t>(), second);
}

TEST_F(TextLoaderTest, RefusesTheStateOfAnother) {
  TextLoader loader(file(numbers()), {.batch = 4, .context = 8});
  const auto expected = loader.next().tokens.to_vector<std::int64_t>();
  loader = TextLoader(directory_ / "input.txt", {.batch = 4, .context = 8});
  auto state = loader.state_dict();
  state[0].tensor.fill_(7);
  for (auto& [name, tensor] : state) {
    if (name == "vocabulary") tensor = tensor.clone().fill_('x');
  }
  EXPECT_THAT(message_of<DataError>([&] { loader.load_state_dict(state); }), HasSubstr("another vocabulary"));
  EXPECT_THROW(loader.load_state_dict({}), DataError);
  EXPECT_EQ(loader.next().tokens.to_vector<std::int64_t>(), expected) << "half of the state was loaded";
}

TEST_F(TextLoaderTest, RefusesBadFilesAndOptions) {
  const auto refused = [](const std::string& path, const TextOptions& options) {
    return message_of<DataError>([&] { TextLoader(path, options); });
  };
  EXPECT_THAT(refused(directory_ / "none", {}), HasSubstr("No such file"));
  EXPECT_THAT(refused(directory_.path().string(), {}), HasSubstr("no regular file"));
  EXPECT_THAT(refused(file(""), {}), HasSubstr("is empty"));
  EXPECT_THAT(refused(file(std::string(80, 'x')), {.context = 72}),
              HasSubstr("training part has 72 characters, and a window takes context + 1 = 73"));
  EXPECT_THAT(refused(file(std::string(80, 'x')), {.context = 8}),
              HasSubstr("validation part has 8 characters"));
  EXPECT_EQ(refused(file(std::string(80, 'x')), {.context = 7}), "nothing was thrown");
  const auto path = file(numbers());
  const auto config = [&](const TextOptions& options) {
    return message_of<ConfigError>([&] { TextLoader(path, options); });
  };
  EXPECT_THAT(config({.batch = 0}), HasSubstr("at least 1, not 0"));
  EXPECT_THAT(config({.context = 0}), HasSubstr("context must be at least 1, not 0"));
  EXPECT_THAT(config({.train_share = 1}), HasSubstr("between 0 and 1"));
  const auto ranks = World::threads(3);
  EXPECT_THAT(message_of<ConfigError>([&] { TextLoader(path, {.batch = 30, .context = 8}, ranks[1]); }),
              HasSubstr("a batch must divide by the number of logical ranks: 30 by 4"));
}

TEST(TextLoaderReal, TinyShakespeareHasItsKnownVocabulary) {
  const char* data = std::getenv("TUTTI_TEST_DATA");
  if (!data) GTEST_SKIP() << "TUTTI_TEST_DATA is not set";
  TextLoader loader(std::string(data) + "/tinyshakespeare/input.txt", {.batch = 12, .context = 64});
  EXPECT_EQ(loader.vocabulary(), "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
  EXPECT_EQ(loader.next().tokens.shape(), (Shape{12, 64}));
}

}  // namespace
}  // namespace tutti::data
