// Summing a tree leaf by leaf: finished subtrees lie on a stack.
#pragma once

#include <bit>
#include <cstddef>
#include <vector>

namespace tutti::parallel {

// Of the tree of core/tree.h over `leaves`, that come in order.
class TreeSchedule {
 public:
  explicit TreeSchedule(std::size_t leaves) {
    // The leaves of the last level are half of what the others are; two subtrees of one weight are a whole one.
    const std::size_t full = std::bit_floor(leaves), small = leaves == full ? leaves : 2 * (leaves - full);
    const std::size_t large_weight = leaves == full ? 1 : 2;
    std::vector<std::size_t> stack;
    for (std::size_t leaf = 0; leaf < leaves; ++leaf) {
      levels_.push_back(stack.size());
      stack.push_back(leaf < small ? 1 : large_weight);
      std::size_t merges = 0;
      for (; stack.size() > 1 && stack.back() == stack[stack.size() - 2]; ++merges) {
        stack.pop_back();
        stack.back() *= 2;
      }
      merges_.push_back(merges);
    }
  }

  std::size_t leaves() const { return levels_.size(); }
  // Where on the stack leaf `leaf` is put.
  std::size_t level(std::size_t leaf) const { return levels_[leaf]; }
  // How often, after it, the top of the stack is added to what lies below.
  std::size_t merges(std::size_t leaf) const { return merges_[leaf]; }

 private:
  std::vector<std::size_t> levels_, merges_;
};

}  // namespace tutti::parallel
