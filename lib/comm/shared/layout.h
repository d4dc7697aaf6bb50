// What stands where in the memory that the ranks of a group share. All bytes zero is the initial state.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "comm/shared/doorbell.h"
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

// What a rank says when it goes on without those that were lost, see shrink.cpp. Rounds are counted from 1.
struct Survivor {
  static constexpr int words = 8;

  std::atomic<std::uint32_t> round;     // that it has entered
  std::atomic<std::uint32_t> offered;   // for which it has made the new group's segment, of number `token`
  std::atomic<std::uint32_t> attached;  // whose segment it has
  std::atomic<std::uint64_t> token;
  std::atomic<std::uint64_t> members[2][words];  // of the new group, a bit a rank, by this rank's proposal
};

struct Slot {
  // The last phase that the rank has posted. Numbers of phases and turns may wrap: ranks are never 2^31 apart.
  alignas(cache_line) std::atomic<std::uint32_t> posted;
  alignas(cache_line) Doorbell doorbell;
  alignas(cache_line) std::atomic<std::int32_t> pid;  // 0 until the rank is there
  std::atomic<bool> left;
  std::atomic<std::int32_t> waits_for;  // the rank for which this one waits, plus one; 0 for none
  std::atomic<std::uint32_t> looks;     // how often it has looked for it
  alignas(cache_line) Survivor survivor;
};

// What one rank tells another one when it enters a collective, in one cache line: what it calls, and as much of its
// data as there is room for, or where its buffers are.
struct Line {
  static constexpr std::size_t room = 24;

  std::atomic<std::uint32_t> turn;
  alignas(8) Signature signature;
  alignas(8) std::byte data[room];
};
static_assert(sizeof(Line) == cache_line);

// Messages of one rank to another one.
struct Mailbox {
  static constexpr int parcels = 2;
  struct Parcel {
    std::uint64_t sequence;
    std::uint64_t count;
    DType dtype;
  };

  alignas(cache_line) std::atomic<std::uint32_t> written;
  Parcel contents[parcels];
  alignas(cache_line) std::atomic<std::uint32_t> taken;
};

// By which a rank knows the segment of its job.
struct Preamble {
  static constexpr std::uint64_t current_format = 0x0369'7474'7574'0002;

  std::uint64_t format;
  std::int32_t size;
};

struct Header {
  Preamble preamble;
  Failure failure;
  // The last round of survivors that was decided, and in its lower half by which rank, plus one.
  std::atomic<std::uint64_t> decision;
  // The last round whose end was decided, and in its lower half whether the group was formed.
  std::atomic<std::uint64_t> outcome;
};

// Offsets into a segment of `size` ranks: the control part; then for each pair of ranks the memory through which
// they exchange what lies in memory of their own.
class Layout {
 public:
  static constexpr int max_ranks = 64 * Survivor::words;
  static constexpr std::size_t small_pair_bytes = 16 * 1024;

  explicit Layout(int size);

  int size() const { return size_; }
  std::size_t control_bytes() const { return parcels_; }
  std::size_t bytes() const { return bytes_; }

  Header& header(std::byte* base) const { return *reinterpret_cast<Header*>(base); }
  Slot& slot(std::byte* base, int rank) const { return reinterpret_cast<Slot*>(base + slots_)[rank]; }
  Mailbox& mailbox(std::byte* base, int from, int to) const {
    return reinterpret_cast<Mailbox*>(base + mailboxes_)[ordered(from, to)];
  }
  std::byte* parcel(std::byte* base, int from, int to, std::uint32_t number) const {
    return base + parcels_ + (2 * ordered(from, to) + number % Mailbox::parcels) * parcel_bytes_;
  }
  std::size_t parcel_bytes() const { return parcel_bytes_; }

  // Two ranks change places with every turn: what the one wrote and the other one read, the other one writes the
  // next time. So a rank writes where it has read, into its own cache, and a cache line moves once each time, from
  // the writer to the reader; else it would move back too, and writing what a peer has in its cache is ten times as
  // slow as reading it (measured on a Zen 4).
  Line& line(std::byte* base, int from, int to, std::uint32_t turn) const {
    return *reinterpret_cast<Line*>(base + lines_ + swapped(from, to, turn) * (sizeof(Line) + small_bytes_));
  }
  // What is small and does not fit into a line stands right behind it, where the processor fetches it along.
  std::byte* small(std::byte* base, int from, int to, std::uint32_t turn) const {
    return reinterpret_cast<std::byte*>(&line(base, from, to, turn) + 1);
  }
  std::size_t small_bytes() const { return small_bytes_; }

  // Blocks of one rank for another one, `block_slots` of them. `exchange_block` swaps them as above, between two
  // that are used by turns.
  static constexpr std::uint32_t block_slots = 3;
  std::byte* block(std::byte* base, int from, int to, std::uint32_t number) const {
    return base + blocks_ + (block_slots * ordered(from, to) + number % block_slots) * block_bytes_;
  }
  std::byte* exchange_block(std::byte* base, int from, int to, std::uint32_t number) const {
    const bool swap = number / 2 % 2 != 0;
    return base + blocks_ +
           (block_slots * (swap ? ordered(to, from) : ordered(from, to)) + number % 2) * block_bytes_;
  }
  std::size_t block_bytes() const { return block_bytes_; }

 private:
  std::size_t ordered(int from, int to) const {
    return static_cast<std::size_t>(from) * static_cast<std::size_t>(size_) + static_cast<std::size_t>(to);
  }
  std::size_t swapped(int from, int to, std::uint32_t turn) const {
    return turn % 2 == 0 ? ordered(from, to) : ordered(to, from);
  }

  int size_;
  std::size_t parcel_bytes_, small_bytes_, block_bytes_;
  std::size_t slots_, mailboxes_, lines_, parcels_, blocks_, bytes_;
};

}  // namespace tutti::comm
