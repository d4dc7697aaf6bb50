#include "tutti/comm/work.h"

#include "tutti/core/error.h"
#include "tutti/core/logging.h"

namespace tutti::comm {

void Work::finish() noexcept {
  try {
    pending_->wait({});
  } catch (const std::exception& error) {
    logging::write(logging::Level::warning, error.what());
  }
  pending_.reset();
}

Work& Work::operator=(Work&& other) noexcept {
  if (this != &other) {
    if (pending_) finish();
    pending_ = std::move(other.pending_);
  }
  return *this;
}

void Work::wait_for_pending(std::optional<std::chrono::milliseconds> timeout) {
  try {
    pending_->wait(timeout);
  } catch (...) {
    // It may be that the time given here alone is over, even if the collective has ended since: the next wait tells.
    if (!timeout) pending_.reset();
    throw;
  }
  pending_.reset();
}

void Work::wait_on(Stream stream) {
  if (pending_) pending_->wait_on(stream);
}

bool Work::done() const { return !pending_ || pending_->done(); }

}  // namespace tutti::comm
