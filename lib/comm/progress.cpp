#include "comm/progress.h"

#include <fmt/format.h>

#include "comm/deadline.h"
#include "tutti/core/error.h"

namespace tutti::comm {

// Its own lock, for its Work may outlive the thread.
struct Progress::Task {
  std::function<void()> run;
  std::string collective;
  std::uint64_t sequence;

  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::exception_ptr error{};

  void execute() {
    try {
      run();
    } catch (...) {
      error = std::current_exception();
    }
    run = nullptr;
    std::scoped_lock lock(mutex);
    done = true;
    changed.notify_all();
  }
};

class Progress::Pending final : public PendingWork {
 public:
  explicit Pending(std::shared_ptr<Task> task) : task_(std::move(task)) {}

  void wait(std::optional<std::chrono::milliseconds> timeout) override {
    std::unique_lock lock(task_->mutex);
    const auto done = [&] { return task_->done; };
    if (!timeout) {
      task_->changed.wait(lock, done);
    } else if (!task_->changed.wait_until(lock, deadline_after(*timeout), done)) {
      throw TimeoutError(fmt::format("{} #{}: not done within {} ms; it goes on", task_->collective,
                                     task_->sequence, timeout->count()),
                         task_->collective, task_->sequence, -1);
    }
    if (task_->error) std::rethrow_exception(task_->error);
  }
  void wait_on(Stream) override { wait({}); }
  bool done() override {
    std::scoped_lock lock(task_->mutex);
    return task_->done;
  }

 private:
  std::shared_ptr<Task> task_;
};

Progress::~Progress() {
  {
    std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  queued_.notify_all();
  thread_.join();
}

Work Progress::add(const Backend::Call& call, std::function<void()> task) {
  auto added = std::make_shared<Task>();
  added->run = std::move(task);
  added->collective = call.name;
  added->sequence = call.sequence;
  {
    std::scoped_lock lock(mutex_);
    tasks_.push_back(added);
    unfinished_.fetch_add(1, std::memory_order_relaxed);
  }
  queued_.notify_one();
  return Work(std::make_unique<Pending>(std::move(added)));
}

void Progress::drain_slowly() {
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [&] { return unfinished_.load(std::memory_order_relaxed) == 0; });
}

void Progress::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    queued_.wait(lock, [&] { return ending_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task->execute();
    lock.lock();
    if (unfinished_.fetch_sub(1, std::memory_order_release) == 1) finished_.notify_all();
  }
}

}  // namespace tutti::comm
