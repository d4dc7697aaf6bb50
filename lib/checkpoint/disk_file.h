// Bytes to and from files, past the page cache where the file system lets us: a checkpoint is larger than the cache
// should be for it, and writing through it was measured at a ninth of the speed.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

namespace tutti::checkpoint {

// Direct transfers start, end and lie in memory at multiples of it.
inline constexpr std::size_t page = 4096;

constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t unit = page) {
  return (bytes + unit - 1) / unit * unit;
}

std::uint64_t file_size(int descriptor, const std::string& path);
// All of `bytes`. Throws CheckpointError.
void write_at(int descriptor, const void* data, std::size_t bytes, std::uint64_t offset,
              const std::string& path);
// Up to the end of the file; returns the bytes read.
std::size_t read_at(int descriptor, void* data, std::size_t bytes, std::uint64_t offset,
                    const std::string& path);
// A failure is final: the kernel may have dropped the pages, and a second call would report success.
void sync_file(int descriptor, const std::string& path);
// From here on by direct transfers; returns false where the file system has none.
bool set_direct(int descriptor, bool on = true);
// Space for the whole file, so that a full disk is met before the work; where the file system can.
void reserve_space(int descriptor, std::uint64_t bytes, const std::string& path);
void truncate(int descriptor, std::uint64_t bytes, const std::string& path);

// Pages of our own.
class Pages {
 public:
  Pages() = default;
  // Throws std::bad_alloc.
  explicit Pages(std::size_t bytes);
  Pages(Pages&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Pages();

  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }
  std::span<std::byte> span() const { return {data_, bytes_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace tutti::checkpoint
