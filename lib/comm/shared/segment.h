// The memory of a group: of one process (threads) or mapped by several (shm).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "comm/shared/layout.h"

namespace tutti::comm {

class Segment {
 public:
  explicit Segment(int size) : layout_(size) {}
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;
  virtual ~Segment() = default;

  const Layout& layout() const { return layout_; }
  std::byte* base() const { return base_; }

  virtual std::string_view name() const = 0;

  // The place of `data` in terms that every rank understands, if all can reach it; and back.
  virtual std::optional<std::uint64_t> locate(const void* data, std::size_t bytes) const = 0;
  virtual std::byte* at(std::uint64_t place) const = 0;

  // Memory that `locate` finds.
  virtual std::shared_ptr<void> allocate(std::size_t bytes) = 0;

  // False once a rank that has joined can never arrive again.
  virtual bool alive(int rank) const = 0;

  // A segment for a part of this group, made by the part's rank 0, and the number by which its other ranks get it
  // while rank 0 keeps what it got. They get null when it no longer does, because it failed or died.
  struct Part {
    std::shared_ptr<Segment> segment;
    std::uint64_t token;
  };
  virtual Part make_part(int size) = 0;
  virtual std::shared_ptr<Segment> take_part(std::uint64_t token, int rank, int size) = 0;

 protected:
  void set_base(std::byte* base) { base_ = base; }

 private:
  Layout layout_;
  std::byte* base_ = nullptr;
};

}  // namespace tutti::comm
