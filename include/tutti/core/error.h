/// \file
/// The errors that Tutti throws. Every message gives the rule that was broken and the values met.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tutti {

/// Root of every error that the library throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Sizes that do not fit together, or an index outside its range.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// An element type that the operation does not take, or two that differ.
class DTypeError : public Error {
 public:
  using Error::Error;
};

/// A device that is not there, or operands on different devices.
class DeviceError : public Error {
 public:
  using Error::Error;
};

/// An option, argument or environment variable that cannot be used.
class ConfigError : public Error {
 public:
  using Error::Error;
};

/// Data from outside (an IDX or text file, a state dict) that breaks its own format.
class DataError : public Error {
 public:
  using Error::Error;
};

/// Misuse of the tape: backward twice, an in-place change of a saved tensor, a loss that is no scalar.
class AutogradError : public Error {
 public:
  using Error::Error;
};

/// A collective that failed: which one, its sequence number in the communicator, and the rank at fault.
class CommError : public Error {
 public:
  /// `rank` is the one held responsible, -1 where none can be named.
  CommError(const std::string& message, std::string_view collective, std::uint64_t sequence, int rank)
      : Error(message), collective_(collective), sequence_(sequence), rank_(rank) {}

  const std::string& collective() const { return collective_; }
  std::uint64_t sequence() const { return sequence_; }
  int rank() const { return rank_; }

 private:
  std::string collective_;
  std::uint64_t sequence_;
  int rank_;
};

/// A collective whose deadline passed; `rank()` is the first rank that had not arrived.
class TimeoutError : public CommError {
 public:
  using CommError::CommError;
};

/// A checkpoint or safetensors file that cannot be written, or that must not be trusted.
class CheckpointError : public Error {
 public:
  /// `offset` is the byte in `file` where the rule is broken, -1 where that has no meaning.
  CheckpointError(const std::string& message, std::string_view file, std::int64_t offset = -1)
      : Error(message), file_(file), offset_(offset) {}

  const std::string& file() const { return file_; }
  std::int64_t offset() const { return offset_; }

 private:
  std::string file_;
  std::int64_t offset_;
};

}  // namespace tutti
