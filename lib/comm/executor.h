// The collectives of one communicator, one after another.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

#include "comm/flight_recorder.h"
#include "comm/progress.h"
#include "comm/staging.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

// Runs them in the order of the calls: on the calling thread while nothing is under way, else behind that on the
// progress thread. The first CommError stays, and is what every later call throws.
class Executor : public std::enable_shared_from_this<Executor> {
 public:
  using Call = Backend::Call;

  explicit Executor(std::unique_ptr<Backend> backend);
  ~Executor();

  Backend& backend() { return *backend_; }
  // Whether collectives of buffers on `device` go through the host's memory.
  bool stages(Device device) const {
    return device.is_cuda() && backend_->completion() != Backend::Completion::on_device;
  }
  Staging& staging() { return staging_; }
  const FlightRecorder& recorder() const { return recorder_; }

  // Runs `body()`, which returns a Work, and waits for it.
  template <typename Body>
  void run(const Call& call, const Summary& summary, Body&& body) {
    settle();
    if (failed_.load(std::memory_order_acquire)) std::rethrow_exception(failure());
    const auto record = recorder_.add(call, summary, FlightRecord::State::running);
    try {
      body().wait();
    } catch (...) {
      failed(record);
      throw;
    }
    recorder_.set(record, FlightRecord::State::done);
  }

  // Returns at once; the Work is done when `body()` and its Work are. Where a device completes them, the Work
  // keeps this executor.
  Work start(const Call& call, const Summary& summary, std::function<Work()> body);

  // Waits for everything under way.
  void settle() {
    if (progress_) progress_->drain();
  }

 private:
  class OnDevice;

  std::exception_ptr failure() const;
  // Within a handler.
  void failed(std::uint64_t record);

  std::unique_ptr<Backend> backend_;
  Staging staging_{*backend_};
  FlightRecorder recorder_;
  mutable std::mutex mutex_;
  std::atomic<bool> failed_ = false;
  std::exception_ptr failure_;
  std::unique_ptr<Progress> progress_;
};

}  // namespace tutti::comm
