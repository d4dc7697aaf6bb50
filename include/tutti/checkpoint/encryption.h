/// \file
/// Keys for encrypted checkpoints. What is protected, and what is not: docs/encryption.md.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tutti {

/// A key of yours, which wraps the data key of a checkpoint: one that is fresh for each checkpoint, and encrypts its
/// files. One object may be used by several threads at a time.
class RecipientKey {
 public:
  /// Of a data key, in bytes.
  static constexpr std::size_t data_key_bytes = 32;
  /// What `wrap` may return at most, in bytes.
  static constexpr std::size_t max_wrapped_bytes = 2048;

  virtual ~RecipientKey() = default;

  /// Names the key in the checkpoints that it opens, in plain text: 1 to 256 bytes of UTF-8. The same for every
  /// object of the same key.
  virtual const std::string& id() const = 0;

  /// `data_key` encrypted, bound to `context`: a line of ASCII that names the checkpoint.
  /// \throws CheckpointError when it cannot be done.
  virtual std::vector<std::byte> wrap(std::span<const std::byte, data_key_bytes> data_key,
                                      std::string_view context) const = 0;

  /// Puts what was wrapped in `context` into `data_key`, memory that is not swapped and wiped afterwards.
  /// \throws CheckpointError when it is not what this key wrapped in that context, or it cannot be done.
  virtual void unwrap(std::span<const std::byte> wrapped, std::string_view context,
                      std::span<std::byte, data_key_bytes> data_key) const = 0;
};

/// The key in a file of 32 bytes, or of 64 hexadecimal digits and at most a line's end. Its id is "file:" and 16 digits
/// that come from the key, wherever the file lies. It wraps by AES-256-GCM: nonce of 12 bytes, ciphertext, tag of 16,
/// with the context as associated data.
/// \throws ConfigError when the file cannot be read, is something else, or when its group or others may use it; and when
///         Tutti was built without OpenSSL.
std::shared_ptr<const RecipientKey> key_file(const std::string& path);

/// Makes a file for `key_file`: 64 random hexadecimal digits, for its owner alone.
/// \throws ConfigError when `path` is there already or cannot be written, or without OpenSSL; CheckpointError when there
///         is no randomness.
void new_key_file(const std::string& path);

/// Programs that wrap and unwrap, by a key management service say.
struct KeyCommand {
  /// Program, found by PATH, and arguments; no shell reads them. The data key (32 bytes) is on its standard input,
  /// and it writes the wrapped key to its standard output; exit code 0 is success. The environment is that of the
  /// process, with the context as TUTTI_KEY_CONTEXT. It has no terminal.
  std::vector<std::string> wrap;
  /// The other way round. May be empty where checkpoints are only written, as `wrap` where they are only read.
  std::vector<std::string> unwrap;
  std::string id;  ///< see RecipientKey::id: the name of the key at the service
  /// After it, the program and those that it started are killed, and that is an error.
  std::chrono::milliseconds timeout = std::chrono::seconds(30);
};

/// The key behind two programs. What goes wrong with one is a CheckpointError with the last line of its standard error.
/// \throws ConfigError for an id that cannot be, a timeout below 1 ms, or without any command.
std::shared_ptr<const RecipientKey> key_command(KeyCommand command);

/// Who can open checkpoints: any one of the recipients, by itself.
struct Encryption {
  std::vector<std::shared_ptr<const RecipientKey>> recipients;
};

}  // namespace tutti
