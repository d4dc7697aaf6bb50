#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "checkpoint/atomic_file.h"
#include "checkpoint/crypto.h"
#include "checkpoint/hex.h"
#include "tutti/checkpoint/encryption.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using namespace checkpoint;

class FileKey : public RecipientKey {
 public:
  FileKey(std::string path, Key key) : path_(std::move(path)), id_(id_of(key)), cipher_(std::move(key)) {}

  const std::string& id() const override { return id_; }

  std::vector<std::byte> wrap(std::span<const std::byte, data_key_bytes> data_key,
                              std::string_view context) const override {
    std::vector<std::byte> wrapped(wrapped_bytes);
    const std::span all(wrapped);
    random_bytes(all.first<nonce_bytes>());
    cipher_.seal(all.first<nonce_bytes>(), context, data_key, all.subspan(nonce_bytes));
    return wrapped;
  }

  void unwrap(std::span<const std::byte> wrapped, std::string_view context,
              std::span<std::byte, data_key_bytes> data_key) const override {
    if (wrapped.size() == wrapped_bytes &&
        cipher_.open(wrapped.first<nonce_bytes>(), context, wrapped.subspan(nonce_bytes), data_key)) {
      return;
    }
    throw CheckpointError(
        fmt::format(
            "key file: the key in {} does not open this: it was changed, or is of another checkpoint or key",
            path_),
        "");
  }

 private:
  static constexpr std::size_t wrapped_bytes = nonce_bytes + data_key_bytes + tag_bytes;

  static std::string id_of(const Key& key) {
    std::array<std::byte, 8> digits;
    hkdf_sha256(key.bytes(), {}, "tutti key id v1", digits);
    return "file:" + to_hex(digits);
  }

  std::string path_;
  std::string id_;
  AesGcm cipher_;
};

// A descriptor that is closed at the end.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

[[noreturn]] void refuse(const std::string& path, std::string_view rule) {
  throw ConfigError(fmt::format("key file: {}: {}", path, rule));
}

[[noreturn]] void refuse_by_system(const std::string& path) {
  refuse(path, std::generic_category().message(errno));
}

}  // namespace

std::shared_ptr<const RecipientKey> key_file(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));  // a FIFO would wait for a writer
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) refuse_by_system(path);
  if (!S_ISREG(status.st_mode)) refuse(path, "no regular file");
  if ((status.st_mode & 077) != 0) {
    refuse(path,
           fmt::format("its mode {:03o} lets group or others use the key: chmod 600", status.st_mode & 0777));
  }
  Secret text(2 * Key::size + 2);  // one byte more than fits
  std::size_t length = 0;
  while (length < text.bytes().size()) {
    const auto got = ::read(file.get(), text.bytes().data() + length, text.bytes().size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse_by_system(path);
    if (got == 0) break;
    length += static_cast<std::size_t>(got);
  }
  Key key;
  std::string_view digits(reinterpret_cast<const char*>(text.bytes().data()), length);
  if (length == Key::size) {
    std::ranges::copy(text.bytes().first(Key::size), key.bytes().begin());
  } else {
    if (digits.ends_with('\n')) digits.remove_suffix(1);
    if (!from_hex(digits, key.bytes())) {
      refuse(path,
             fmt::format("a key is 32 bytes or 64 hexadecimal digits, the file has {} bytes{}",
                         status.st_size, digits.size() == 2 * Key::size ? ", not all of them digits" : ""));
    }
  }
  return std::make_shared<FileKey>(path, std::move(key));
}

void new_key_file(const std::string& path) {
  const Key key = Key::random();
  Secret line(2 * Key::size + 1);
  // Not to_hex: its string would leave the key in memory.
  for (std::size_t i = 0; i < Key::size; ++i) {
    fmt::format_to_n(reinterpret_cast<char*>(line.bytes().data()) + 2 * i, 2, "{:02x}",
                     std::to_integer<unsigned>(key.bytes()[i]));
  }
  line.bytes().back() = std::byte{'\n'};
  const File file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.get() < 0) refuse_by_system(path);
  const auto size = line.bytes().size();
  // So short a write is whole or fails. A key that a power cut takes would take its checkpoints along.
  if (::write(file.get(), line.bytes().data(), size) != static_cast<ssize_t>(size) ||
      ::fsync(file.get()) != 0) {
    const int error = errno;
    ::unlink(path.c_str());
    errno = error;
    refuse_by_system(path);
  }
  Directory(parent_directory(path)).sync();
}

}  // namespace tutti
