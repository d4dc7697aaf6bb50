#include "comm/mpi/queue.h"

#include <exception>

namespace tutti::comm {

class MpiQueue::Pending : public PendingWork {
 public:
  Pending(std::shared_ptr<MpiQueue> queue, std::shared_ptr<Entry> entry)
      : queue_(std::move(queue)), entry_(std::move(entry)) {}

  void wait(std::optional<std::chrono::milliseconds> timeout) override {
    queue_->run_until(*entry_, timeout);
    if (entry_->error) std::rethrow_exception(entry_->error);
  }
  void wait_on(Stream) override { wait({}); }
  bool done() override {
    queue_->run_until(*entry_, {});
    return true;
  }

 private:
  std::shared_ptr<MpiQueue> queue_;
  std::shared_ptr<Entry> entry_;
};

Work MpiQueue::start(const Backend::Call& call, Body body) {
  auto entry = std::make_shared<Entry>(Entry{call, std::move(body)});
  entries_.push_back(entry);
  return Work(std::make_unique<Pending>(shared_from_this(), std::move(entry)));
}

void MpiQueue::run_until(const Entry& last, std::optional<std::chrono::milliseconds> timeout) {
  while (!last.done) {
    const auto entry = entries_.front();
    entries_.pop_front();
    entry->done = true;
    const Running running(entry->call, entry.get() == &last && timeout ? *timeout : entry->call.timeout);
    try {
      group_->check_alive(running);
      entry->body(*group_, running);
    } catch (const std::exception& error) {  // of any kind: who waits for a later entry must not swallow it
      group_->fail(error.what());
      entry->error = std::current_exception();
    }
    entry->body = nullptr;
  }
}

}  // namespace tutti::comm
