// What stands where in the memory that the ranks of a group share. All bytes zero is the initial state.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "comm/shared/counter.h"
#include "comm/shared/signature.h"

namespace tutti::comm {

inline constexpr std::size_t cache_line = 64;

// The first failure of a group; it stays.
struct Failure {
  enum class Kind : std::uint8_t { comm, timeout };
  enum State : std::uint32_t { none, being_written, written };

  std::atomic<std::uint32_t> state;
  Kind kind;
  std::int32_t rank;
  std::uint64_t sequence;
  char collective[16];
  char text[464];
};

struct Slot {
  alignas(cache_line) SharedCounter posted;
  alignas(cache_line) std::atomic<std::int32_t> pid;  // 0 until the rank is there
  std::atomic<bool> left;
  // By turns: a peer may still read the one when its rank writes the other.
  alignas(cache_line) Signature signatures[2];
};

// Messages of one rank to another one.
struct Mailbox {
  static constexpr int parcels = 2;
  struct Parcel {
    std::uint64_t sequence;
    std::uint64_t count;
    DType dtype;
  };

  alignas(cache_line) SharedCounter written;
  Parcel contents[parcels];
  alignas(cache_line) SharedCounter taken;
};

// By which a rank knows the segment of its job.
struct Preamble {
  static constexpr std::uint64_t current_format = 0x0169'7474'7574'0001;

  std::uint64_t format;
  std::int32_t size;
};

struct Header {
  Preamble preamble;
  Failure failure;
};

// Offsets into a segment of `size` ranks: the control part, then staging and parcels.
class Layout {
 public:
  static constexpr std::size_t half_bytes = 256 * 1024;
  static constexpr int max_ranks = 1024;

  explicit Layout(int size);

  int size() const { return size_; }
  std::size_t control_bytes() const { return staging_; }
  std::size_t bytes() const { return bytes_; }
  std::size_t parcel_bytes() const { return parcel_bytes_; }

  Header& header(std::byte* base) const { return *reinterpret_cast<Header*>(base); }
  Slot& slot(std::byte* base, int rank) const;
  Mailbox& mailbox(std::byte* base, int from, int to) const;
  std::byte* parcel(std::byte* base, int from, int to, std::uint32_t number) const;
  // A rank's staging memory has two halves, used by turns.
  std::byte* staging(std::byte* base, int rank, int half) const;

 private:
  std::size_t pair(int from, int to) const;

  int size_;
  std::size_t parcel_bytes_;
  std::size_t slots_, mailboxes_, staging_, parcels_, bytes_;
};

}  // namespace tutti::comm
