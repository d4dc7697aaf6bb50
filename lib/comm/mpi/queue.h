// Collectives in the order in which they were called.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "comm/mpi/group.h"
#include "tutti/comm/work.h"

namespace tutti::comm {

// MPI makes progress inside its own calls only. A collective therefore runs when it, or one that was called
// after it, is waited for; on every rank in the same order, whatever order the waits have.
class MpiQueue : public std::enable_shared_from_this<MpiQueue> {
 public:
  using Body = std::function<void(MpiGroup&, const Running&)>;

  explicit MpiQueue(std::shared_ptr<MpiGroup> group) : group_(std::move(group)) {}
  MpiGroup& group() { return *group_; }

  Work start(const Backend::Call& call, Body body);

 private:
  struct Entry {
    Backend::Call call;
    Body body;
    bool done = false;
    std::exception_ptr error{};
  };
  class Pending;

  void run_until(const Entry& last, std::optional<std::chrono::milliseconds> timeout);

  std::shared_ptr<MpiGroup> group_;
  std::deque<std::shared_ptr<Entry>> entries_;
};

}  // namespace tutti::comm
