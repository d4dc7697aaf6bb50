// keys.json, key files, and keys behind programs.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "encryption_support.h"

namespace tutti::checkpoint {
namespace {

using namespace test;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

class EncryptionKeys : public testing::Test {
 protected:
  std::string key_of_text(const std::string& text, int mode = 0600) const {
    const auto path = directory_ / "key";
    write_file(path, text);
    ::chmod(path.c_str(), static_cast<mode_t>(mode));
    return path;
  }
  static auto refused(const std::string& path, const std::string& rule) {
    EXPECT_THAT([&] { key_file(path); }, ThrowsMessage<ConfigError>(HasSubstr(path + ": " + rule)));
  }

  TemporaryDirectory directory_;
};

TEST_F(EncryptionKeys, FilesOfBytesAndOfDigits) {
  std::string raw(32, '\0');
  for (int i = 0; i < 32; ++i) raw[static_cast<std::size_t>(i)] = static_cast<char>(i);
  const auto digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F";
  const auto bytes = key_file(key_of_text(raw));
  const auto hex = key_file(key_of_text(digits));
  const auto line = key_file(key_of_text(digits + std::string("\n")));
  EXPECT_EQ(bytes->id(), "file:23d7fd967a7c6e97");  // by Python's HKDF
  EXPECT_EQ(hex->id(), bytes->id());
  EXPECT_EQ(line->id(), bytes->id());

  const auto data_key = key_of(9);
  const auto wrapped = bytes->wrap(data_key.bytes(), "context");
  EXPECT_EQ(wrapped.size(), 60u);
  EXPECT_FALSE(wrapped == bytes->wrap(data_key.bytes(), "context"));
  Key again;
  hex->unwrap(wrapped, "context", again.bytes());
  EXPECT_TRUE(std::ranges::equal(again.bytes(), data_key.bytes()));
  EXPECT_THROW(hex->unwrap(wrapped, "another", again.bytes()), CheckpointError);
  EXPECT_TRUE(std::ranges::equal(again.bytes(), Key().bytes()));  // nothing of it is handed out
  EXPECT_THROW(hex->unwrap(std::span(wrapped).first(59), "context", again.bytes()), CheckpointError);
}

TEST_F(EncryptionKeys, FilesThatAreNoKeys) {
  refused(directory_ / "none", "No such file or directory");
  refused(directory_.path().string(), "no regular file");
  refused(key_of_text(""), "a key is 32 bytes or 64 hexadecimal digits, the file has 0 bytes");
  refused(key_of_text(std::string(31, 'a')),
          "a key is 32 bytes or 64 hexadecimal digits, the file has 31 bytes");
  refused(key_of_text(std::string(63, 'a') + "g"),
          "a key is 32 bytes or 64 hexadecimal digits, the file has 64");
  refused(key_of_text(std::string(64, 'a') + "\n\n"),
          "a key is 32 bytes or 64 hexadecimal digits, the file has 66");
  refused(key_of_text(std::string(100000, 'a')),
          "a key is 32 bytes or 64 hexadecimal digits, the file has 100000");
  for (const int mode : {0640, 0604, 0660, 0620}) {
    refused(key_of_text(std::string(64, 'a'), mode), "its mode");
  }
  const auto fifo = directory_ / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  refused(fifo, "no regular file");
}

TEST_F(EncryptionKeys, NewFilesAreFreshAndOnesOwn) {
  const auto a = a_key(directory_, "a"), b = a_key(directory_, "b");
  EXPECT_NE(a->id(), b->id());
  struct stat status {};
  ASSERT_EQ(::stat((directory_ / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  const auto before = read_file(directory_ / "a");
  EXPECT_THAT([&] { new_key_file(directory_ / "a"); }, ThrowsMessage<ConfigError>(HasSubstr("File exists")));
  EXPECT_EQ(read_file(directory_ / "a"), before);
  EXPECT_THROW(new_key_file(directory_ / "none/a"), ConfigError);
}

// A service whose wrapping is base64 behind the context.
KeyCommand service() {
  return {
      .wrap = {"sh", "-c", "printf '%s:' \"$TUTTI_KEY_CONTEXT\"; exec base64 -w0"},
      .unwrap = {"sh", "-c",
                 "IFS=: read -r context key; [ \"$context\" = \"$TUTTI_KEY_CONTEXT\" ] || { echo noise >&2; "
                 "echo \"not of $TUTTI_KEY_CONTEXT\" >&2; exit 3; }; printf %s \"$key\" | base64 -d"},
      .id = "service/größe"};
}

TEST_F(EncryptionKeys, ProgramsWrapAndUnwrap) {
  const std::vector<SharedKey> keys{key_command(service())};
  const auto sealed = seal(uuid_a, keys);
  const auto opened = open(sealed.text, keys, "keys.json");
  EXPECT_TRUE(std::ranges::equal(opened.data_key.bytes(), sealed.data_key.bytes()));
  auto json = nlohmann::json::parse(sealed.text);
  EXPECT_EQ(json["recipients"][0]["id"], "service/größe");
  json["checkpoint"] = uuid_b;
  EXPECT_THAT([&] { open(json.dump(), keys, "keys.json"); },
              refuses("keys.json", -1,
                      std::string("key command: sh: exit code 3: not of tutti checkpoint v1 ") + uuid_b));
}

TEST_F(EncryptionKeys, ProgramsThatFail) {
  const auto said = [](std::vector<std::string> wrap, const std::string& text) {
    auto command = service();
    command.wrap = std::move(wrap);
    command.timeout = std::chrono::milliseconds(300);
    const auto key = key_command(command);
    EXPECT_THAT([&] { key->wrap(key_of(0).bytes(), "context"); },
                ThrowsMessage<CheckpointError>(HasSubstr(text)));
  };
  said({"/none/such"}, "key command: /none/such: cannot start it: No such file or directory");
  said({"false"}, "exit code 1: it wrote nothing to its standard error");
  said({"sh", "-c", "echo first >&2; echo last >&2; echo >&2; exit 4"}, "exit code 4: last");
  said({"sh", "-c", "kill -KILL $$"}, "ended by signal 9");
  said({"true"}, "its answer is empty");
  said({"cat"}, "its answer shows the data key as it is");
  said({"sh", "-c", "head -c 3000 /dev/zero"}, "its answer is longer than 2048 bytes");
  said({"sh", "-c", "yes >&2"}, "not done after 300 ms, and killed");
  said({"sh", "-c", "exec >&- 2>&-; sleep 100"}, "not done after 300 ms, and killed");
  said({}, "it has no command to wrap a data key");
  said({"sh", "-c; echo"}, "exit code 2");  // no shell looks at the arguments
  auto command = service();
  command.unwrap = {"printf", "short"};
  Key key;
  EXPECT_THAT([&] { key_command(command)->unwrap(text_of(9), "context", key.bytes()); },
              ThrowsMessage<CheckpointError>(HasSubstr("a data key is 32 bytes, its answer 5")));
}

TEST_F(EncryptionKeys, WhatAProgramStartedIsKilledWithIt) {
  auto command = service();
  command.wrap = {"sh", "-c", "sleep 100 & echo $! > " + directory_ / "pid" + "; wait"};
  command.timeout = std::chrono::milliseconds(300);
  EXPECT_THROW(key_command(command)->wrap(key_of(0).bytes(), "context"), CheckpointError);
  const auto pid = std::stoi(read_file(directory_ / "pid"));
  // Its new parent may take a moment to reap it.
  const auto alive = [&] {
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    return !stat.empty() && stat[stat.rfind(')') + 2] != 'Z';
  };
  for (int i = 0; i < 1000 && alive(); ++i) ::usleep(1000);
  EXPECT_FALSE(alive());
}

TEST_F(EncryptionKeys, AProgramThatDoesNotReadIsNoSignal) {
  auto command = service();
  command.wrap = {"echo", "wrapped"};
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(to_string(key_command(command)->wrap(key_of(0).bytes(), "context")), "wrapped\n");
  }
}

TEST_F(EncryptionKeys, CommandsThatCannotBe) {
  const auto refused = [](auto change) {
    auto command = service();
    change(command);
    EXPECT_THROW(key_command(command), ConfigError);
  };
  refused([](KeyCommand& command) { command.id = ""; });
  refused([](KeyCommand& command) { command.id = std::string(257, 'a'); });
  refused([](KeyCommand& command) { command.timeout = {}; });
  refused([](KeyCommand& command) { command.wrap = command.unwrap = {}; });
}

TEST_F(EncryptionKeys, RecipientsThatCannotBe) {
  const auto key = a_key(directory_, "a");
  const auto refused = [](const std::vector<SharedKey>& keys, const std::string& rule) {
    EXPECT_THAT([&] { seal(uuid_a, keys); }, ThrowsMessage<ConfigError>(HasSubstr(rule)));
  };
  refused({}, "1 to 100 of them, not 0");
  refused({key, nullptr}, "one of them is null");
  refused({key, key}, "is there twice");
  refused(std::vector<SharedKey>(101, key), "1 to 100 of them, not 101");
  auto command = service();
  command.id = "\xff";
  refused({key_command(command)}, "an id is not UTF-8");
  EXPECT_THROW(seal("a b", std::vector<SharedKey>{key}), CheckpointError);
}

TEST_F(EncryptionKeys, TextsThatBreakARule) {
  const std::vector<SharedKey> keys{a_key(directory_, "a")};
  const auto text = seal(uuid_a, keys).text;
  const auto refused = [&](const std::string& bad, const std::string& rule) {
    EXPECT_THAT([&] { open(bad, keys, "keys.json"); },
                ThrowsMessage<CheckpointError>(AllOf(StartsWith("checkpoint: keys.json: "), HasSubstr(rule))))
        << bad;
  };
  const auto with = [&](const char* pointer, const nlohmann::json& value) {
    auto json = nlohmann::json::parse(text);
    json[nlohmann::json::json_pointer(pointer)] = value;
    return json.dump();
  };
  const auto without = [&](const char* field) {
    auto json = nlohmann::json::parse(text);
    json.erase(field);
    return json.dump();
  };
  ASSERT_NO_THROW(open(text, keys, "keys.json"));
  refused("", "it is no JSON");
  refused("[1]", "it is no object with a \"format\"");
  refused(text + "}", "it is no JSON");
  refused(text.substr(0, text.size() - 4), "it is no JSON");
  refused(std::string(100'000, '['), "nested deeper than 3");
  refused(std::string((1 << 20) + 1, ' '), "at most 1048576 are allowed");
  refused("{\"format\": 1, " + text.substr(1), "duplicate key \"format\"");
  refused("{\"format\": 1}", "has no \"checkpoint\"");
  refused(with("/format", 1.0), "its format is 1.0");
  refused(with("/format", true), "its format is true");
  refused(with("/format", "1"), "its format is \"1\"");
  refused(with("/more", 1), "unknown field \"more\"");
  refused(with("/recipients/0/more", 1), "a recipient has an unknown field \"more\"");
  refused(with("/checkpoint", "a/b"), "is no id of a checkpoint");
  refused(with("/checkpoint", 7), "\"checkpoint\" is no string");
  refused(with("/algorithm", nullptr), "\"algorithm\" is no string");
  refused(with("/commitment", "00"), "\"commitment\" is 64 hexadecimal digits");
  refused(with("/commitment", std::string(63, '0') + "x"), "\"commitment\" is 64 hexadecimal digits");
  refused(with("/recipients", nlohmann::json::array()), "a list of 1 to 100");
  refused(with("/recipients", {{"a", 1}}), "a list of 1 to 100");
  refused(with("/recipients/0", 1), "a recipient is no object");
  refused(with("/recipients/0/id", ""), "has 1 to 256 bytes, not 0");
  refused(with("/recipients/0/wrapped", ""), "1 to 2048 bytes");
  refused(with("/recipients/0/wrapped", "0"), "1 to 2048 bytes");
  refused(with("/recipients/0/wrapped", std::string(4098, '0')), "1 to 2048 bytes");
  refused(with("/recipients/1", nlohmann::json::parse(text)["recipients"][0]), "is there twice");
  for (const auto* field : {"checkpoint", "algorithm", "commitment", "recipients"}) {
    refused(without(field), std::string("it has no \"") + field + '"');
  }
}

}  // namespace
}  // namespace tutti::checkpoint
