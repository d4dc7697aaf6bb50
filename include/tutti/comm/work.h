/// \file
/// A collective under way.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "tutti/comm/types.h"

namespace tutti::comm {

/// What a back end keeps about a collective under way.
class PendingWork {
 public:
  virtual ~PendingWork() = default;
  /// Blocks the calling thread until the collective is done; throws CommError or TimeoutError.
  virtual void wait(std::optional<std::chrono::milliseconds> timeout) = 0;
  /// Orders `stream` behind the collective without blocking the host.
  virtual void wait_on(Stream stream) = 0;
  virtual bool done() = 0;
};

/// Handle of a collective under way; move-only. An empty one is done. Destroying a handle waits for its
/// collective, and swallows its error: call `wait()` to see it.
class [[nodiscard]] Work {
 public:
  Work() = default;
  explicit Work(std::unique_ptr<PendingWork> pending) : pending_(std::move(pending)) {}
  Work(Work&&) = default;
  Work& operator=(Work&& other) noexcept;
  ~Work() {
    if (pending_) finish();
  }

  /// Blocks until the collective is done.
  /// \param timeout of this wait, if it is shorter than the deadline that the collective was started with: when it is over the
  /// collective goes on, and can be waited for again.
  /// \throws TimeoutError, CommError
  void wait(std::optional<std::chrono::milliseconds> timeout = {}) {
    if (pending_) wait_for_pending(timeout);
  }

  /// Makes `stream` wait for the collective; the host goes on at once. The same as `wait()` on all back ends but NCCL.
  void wait_on(Stream stream);

  bool done() const;

 private:
  void wait_for_pending(std::optional<std::chrono::milliseconds> timeout);
  void finish() noexcept;

  std::unique_ptr<PendingWork> pending_;
};

}  // namespace tutti::comm
