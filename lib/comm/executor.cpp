#include "comm/executor.h"

#include <fmt/format.h>

#include <algorithm>

#include "tutti/core/error.h"
#include "tutti/core/logging.h"

namespace tutti::comm {
namespace {

constexpr std::size_t logged_records = 16;

void log_records(const Backend& backend, const char* what, std::vector<FlightRecord> records) {
  const auto all = records.size();
  records.erase(records.begin(), records.end() - static_cast<std::ptrdiff_t>(std::min(all, logged_records)));
  logging::write(logging::Level::error,
                 fmt::format("{}\nThe last {} calls of rank {} of {} ({}):\n{}", what, records.size(),
                             backend.rank(), backend.size(), backend.name(), str(records)));
}

}  // namespace

// A Work of the back end's that tells the recorder, once, how it ended.
class Executor::OnDevice final : public PendingWork {
 public:
  OnDevice(std::shared_ptr<Executor> executor, std::uint64_t record, Work work)
      : executor_(std::move(executor)), record_(record), work_(std::move(work)) {}

  void wait(std::optional<std::chrono::milliseconds> timeout) override {
    try {
      work_.wait(timeout);
    } catch (...) {
      // The caller's own timeout may be all that passed: the collective goes on, or has ended since, and may be sound.
      if (!timeout)
        executor_->failed(record_);
      else if (work_.done())
        wait({});
      throw;
    }
    executor_->recorder_.set(record_, FlightRecord::State::done);
  }
  void wait_on(Stream stream) override { work_.wait_on(stream); }
  bool done() override { return work_.done(); }

 private:
  std::shared_ptr<Executor> executor_;
  std::uint64_t record_;
  Work work_;
};

Executor::Executor(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}

Executor::~Executor() = default;

Work Executor::start(const Call& call, const Summary& summary, std::function<Work()> body) {
  if (failed_) std::rethrow_exception(failure());
  switch (backend_->completion()) {
    case Backend::Completion::on_return_same_thread:
      run(call, summary, body);
      return {};
    case Backend::Completion::on_device: {
      const auto record = recorder_.add(call, summary, FlightRecord::State::running);
      try {
        Work work = body();
        if (!work.done()) {
          return Work(std::make_unique<OnDevice>(shared_from_this(), record, std::move(work)));
        }
        work.wait();
        recorder_.set(record, FlightRecord::State::done);
        return {};
      } catch (...) {
        failed(record);
        throw;
      }
    }
    case Backend::Completion::on_return:
      break;
  }
  if (!progress_) progress_ = std::make_unique<Progress>();
  const auto record = recorder_.add(call, summary, FlightRecord::State::queued);
  return progress_->add(call, [this, record, body = std::move(body)] {
    recorder_.set(record, FlightRecord::State::running);
    try {
      if (failed_) std::rethrow_exception(failure());
      body().wait();
    } catch (...) {
      failed(record);
      throw;
    }
    recorder_.set(record, FlightRecord::State::done);
  });
}

std::exception_ptr Executor::failure() const {
  std::scoped_lock lock(mutex_);
  return failure_;
}

void Executor::failed(std::uint64_t record) {
  recorder_.set(record, FlightRecord::State::failed);
  try {
    throw;
  } catch (const CommError& error) {
    {
      std::scoped_lock lock(mutex_);
      if (failure_) return;
      failure_ = std::current_exception();
      failed_ = true;
    }
    log_records(*backend_, error.what(), recorder_.records());
  } catch (...) {
    // Of an argument, or of memory: the group goes on.
  }
}

}  // namespace tutti::comm
