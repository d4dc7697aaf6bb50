#include "tutti/comm/work.h"

#include "tutti/core/error.h"
#include "tutti/core/logging.h"

namespace tutti::comm {
namespace {

void finish(std::unique_ptr<PendingWork>& pending) noexcept {
  if (!pending) return;
  try {
    pending->wait({});
  } catch (const std::exception& error) {
    logging::write(logging::Level::warning, error.what());
  }
  pending.reset();
}

}  // namespace

Work& Work::operator=(Work&& other) noexcept {
  if (this != &other) {
    finish(pending_);
    pending_ = std::move(other.pending_);
  }
  return *this;
}

Work::~Work() { finish(pending_); }

void Work::wait(std::optional<std::chrono::milliseconds> timeout) {
  if (pending_) pending_->wait(timeout);
  pending_.reset();
}

void Work::wait_on(Stream stream) {
  if (pending_) pending_->wait_on(stream);
}

bool Work::done() const { return !pending_ || pending_->done(); }

}  // namespace tutti::comm
