#include "mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace tutti::test {
namespace {

constexpr std::size_t most_elements = (2 << 20) / sizeof(std::int32_t);

}  // namespace

Mix::Mix(Communicator& comm, std::uint32_t seed)
    : comm_(comm),
      random_(seed),
      ranks_(static_cast<std::size_t>(comm.size())),
      heap_(2 * most_elements),
      registered_(comm.allocate(2 * most_elements * sizeof(Int))) {}

void Mix::step() {
  ++steps_;
  // As many small ones as large ones; `out` or `in` of 2 MB at most.
  count_ = std::max<std::size_t>(1, (most_elements >> below(19)) / ranks_ - below(5));
  count_ = std::min(count_, most_elements / ranks_);
  in_ = below(2) == 0 ? heap_.data() : static_cast<Int*>(registered_.get());
  out_ = in_ + most_elements;
  constexpr void (Mix::*kinds[])() = {
      &Mix::all_reduce, &Mix::reduce_scatter, &Mix::all_gather, &Mix::broadcast,  &Mix::all_to_all,
      &Mix::gather,     &Mix::scatter,        &Mix::messages,   &Mix::overlapped, &Mix::split};
  (this->*kinds[below(std::size(kinds))])();
}

Mix::Int Mix::value(int rank, std::size_t i) const {
  return static_cast<Int>((static_cast<std::uint32_t>(i) + steps_ * 77u) * 2654435761u >>
                          (static_cast<unsigned>(rank) + 3));
}

Mix::Int Mix::sum(std::size_t i) const {
  Int total = 0;
  for (int rank = 0; rank < comm_.size(); ++rank) total += value(rank, i);
  return total;
}

void Mix::fill(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) in_[i] = value(comm_.rank(), i);
}

template <typename Expected>
void Mix::check(const char* what, std::size_t count, Expected expected) const {
  for (std::size_t i = 0; i < count; ++i) {
    if (out_[i] != expected(i))
      throw std::logic_error(fmt::format("wrong result: {} of {} ranks, element {} of {}: {}, not {}", what,
                                         ranks_, i, count, out_[i], expected(i)));
  }
}

void Mix::all_reduce() {
  fill(count_);
  comm_.all_reduce(in(count_), out(count_));
  check("all_reduce", count_, [&](std::size_t i) { return sum(i); });
}

void Mix::reduce_scatter() {
  fill(count_ * ranks_);
  comm_.reduce_scatter(in(count_ * ranks_), out(count_));
  const std::size_t first = count_ * static_cast<std::size_t>(comm_.rank());
  check("reduce_scatter", count_, [&](std::size_t i) { return sum(first + i); });
}

void Mix::all_gather() {
  fill(count_);
  comm_.all_gather(in(count_), out(count_ * ranks_));
  check("all_gather", count_ * ranks_,
        [&](std::size_t i) { return value(static_cast<int>(i / count_), i % count_); });
}

void Mix::broadcast() {
  const int root = any_rank();
  for (std::size_t i = 0; i < count_; ++i) out_[i] = value(comm_.rank(), i);
  comm_.broadcast(out(count_), root);
  check("broadcast", count_, [&](std::size_t i) { return value(root, i); });
}

void Mix::all_to_all() {
  fill(count_ * ranks_);
  comm_.all_to_all(in(count_ * ranks_), out(count_ * ranks_));
  const std::size_t first = count_ * static_cast<std::size_t>(comm_.rank());
  check("all_to_all", count_ * ranks_,
        [&](std::size_t i) { return value(static_cast<int>(i / count_), first + i % count_); });
}

void Mix::gather() {
  const int root = any_rank();
  fill(count_);
  comm_.gather(in(count_), out(count_ * ranks_), root);
  if (comm_.rank() != root) return;
  check("gather", count_ * ranks_,
        [&](std::size_t i) { return value(static_cast<int>(i / count_), i % count_); });
}

void Mix::scatter() {
  const int root = any_rank();
  fill(count_ * ranks_);
  comm_.scatter(in(count_ * ranks_), out(count_), root);
  const std::size_t first = count_ * static_cast<std::size_t>(comm_.rank());
  check("scatter", count_, [&](std::size_t i) { return value(root, first + i); });
}

// Once around.
void Mix::messages() {
  const int next = (comm_.rank() + 1) % comm_.size(),
            previous = (comm_.rank() + comm_.size() - 1) % comm_.size();
  fill(count_);
  comm_.send_recv(in(count_), next, out(count_), previous);
  check("send_recv", count_, [&](std::size_t i) { return value(previous, i); });
}

void Mix::split() {
  const int parts = 1 + static_cast<int>(below(2));
  const auto part = comm_.split(comm_.rank() % parts, -comm_.rank());
  const int size = (comm_.size() - comm_.rank() % parts + parts - 1) / parts;
  if (part.size() != size || part.rank() != size - 1 - comm_.rank() / parts)
    throw std::logic_error(fmt::format("wrong result: rank {} of {} in a part", part.rank(), part.size()));
}

// Each third of the blocks by a collective of its own.
void Mix::overlapped() {
  fill(count_);
  const std::size_t third = count_ / 3;
  const BufferView first(out_, third, DType::i32), second(out_ + third, third, DType::i32),
      third_part(out_ + 2 * third, count_ - 2 * third, DType::i32);
  for (std::size_t i = third; i < 2 * third; ++i) out_[i] = in_[i];
  auto a = comm_.all_reduce_async(ConstBufferView(in_, third, DType::i32), first);
  auto b = comm_.broadcast_async(second, comm_.size() - 1);
  comm_.all_reduce(ConstBufferView(in_ + 2 * third, count_ - 2 * third, DType::i32), third_part);
  b.wait();
  a.wait();
  check("overlapping collectives", count_,
        [&](std::size_t i) { return i >= third && i < 2 * third ? value(comm_.size() - 1, i) : sum(i); });
}

}  // namespace tutti::test
