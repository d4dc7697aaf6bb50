// Memory for key bytes.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

namespace tutti::checkpoint {

// Bytes on pages of their own, zero at first and wiped at the end. They stay out of core dumps, and a forked child
// sees zeros; out of swap too, where RLIMIT_MEMLOCK leaves room for that.
class Secret {
 public:
  // Throws std::bad_alloc.
  explicit Secret(std::size_t bytes);
  Secret(Secret&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Secret& operator=(Secret&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Secret();

  std::span<std::byte> bytes() { return {data_, bytes_}; }
  std::span<const std::byte> bytes() const { return {data_, bytes_}; }

 private:
  std::byte* data_;
  std::size_t bytes_;
};

// An AES-256 key.
class Key {
 public:
  static constexpr std::size_t size = 32;

  Key() : secret_(size) {}
  // Fresh, from the generator of OpenSSL. Throws as random_bytes.
  static Key random();

  std::span<std::byte, size> bytes() { return secret_.bytes().first<size>(); }
  std::span<const std::byte, size> bytes() const { return secret_.bytes().first<size>(); }

 private:
  Secret secret_;
};

}  // namespace tutti::checkpoint
