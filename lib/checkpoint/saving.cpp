#include "checkpoint/saving.h"

#include <algorithm>

#include "tutti/core/error.h"

namespace tutti {
namespace checkpoint {

void Saving::staged(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  bytes_ = bytes;
  stall_ = Clock::now() - begin_;
}

void Saving::finish(std::exception_ptr failure) {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
    failure_ = std::move(failure);
    elapsed_ = Clock::now() - begin_;
  }
  finished_.notify_all();
}

bool Saving::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

void Saving::wait_quietly() const {
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [&] { return done_; });
}

void Saving::wait() {
  wait_quietly();
  const std::lock_guard lock(mutex_);
  seen_ = true;
  if (failure_) std::rethrow_exception(failure_);
}

std::string Saving::take_failure() {
  {
    const std::lock_guard lock(mutex_);
    if (!done_ || !failure_ || seen_) return "";
  }
  try {
    wait();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

Save::Progress Saving::progress() const {
  const std::lock_guard lock(mutex_);
  return {bytes_, std::min(written.load(), bytes_), stall_, done_ ? elapsed_ : Clock::now() - begin_};
}

}  // namespace checkpoint

void Save::wait() const {
  if (saving_) saving_->wait();
}

bool Save::done() const { return !saving_ || saving_->done(); }

Save::Progress Save::progress() const { return saving_ ? saving_->progress() : Progress{}; }

}  // namespace tutti
