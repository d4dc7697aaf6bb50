#include "checkpoint/write_behind.h"

#include "checkpoint/disk_file.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {

WriteBehind::WriteBehind(int descriptor, std::string path, std::atomic<std::uint64_t>& written,
                         const std::atomic<bool>& stop)
    : descriptor_(descriptor), path_(std::move(path)), written_(written), stop_(stop), thread_([this] {
        run();
      }) {}

WriteBehind::~WriteBehind() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    if (blocks_.size() > 1) blocks_.resize(1);
  }
  changed_.notify_all();
  thread_.join();
}

void WriteBehind::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  blocks_.push_back({offset, bytes});
  changed_.notify_all();
}

void WriteBehind::wait_for_less_than(std::size_t blocks) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || blocks_.size() < blocks; });
  if (failure_) std::rethrow_exception(failure_);
}

void WriteBehind::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return closed_ || !blocks_.empty(); });
    if (closed_) return;
    const auto [offset, bytes] = blocks_.front();
    lock.unlock();
    std::exception_ptr failure;
    try {
      if (stop_) throw CheckpointError("checkpoint: the save was abandoned", path_);
      write_at(descriptor_, bytes.data(), bytes.size(), offset, path_);
      written_ += bytes.size();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    if (failure) failure_ = failure;
    blocks_.pop_front();
    changed_.notify_all();
    if (failure_) return;
  }
}

}  // namespace tutti::checkpoint
