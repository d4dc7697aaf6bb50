// Bytes one after the other, plain or as they come out of gzip.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace tutti::data {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `out`, or less at the end; returns the number of bytes. Throws DataError for damaged gzip, without
  // a name.
  virtual std::size_t read(std::span<std::byte> out) = 0;
  // No more than this many bytes can follow.
  virtual std::size_t bound() const = 0;
};

// Recognises gzip by its first two bytes. `bytes` must outlive the source.
std::unique_ptr<ByteSource> open_source(std::span<const std::byte> bytes);

}  // namespace tutti::data
