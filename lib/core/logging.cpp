#include "tutti/core/logging.h"

#include <mutex>
#include <utility>

namespace tutti::logging {
namespace {

struct Slot {
  std::mutex mutex;
  Sink sink;
};

Slot& slot() {
  static Slot instance;
  return instance;
}

}  // namespace

Sink set_sink(Sink sink) {
  std::scoped_lock lock(slot().mutex);
  return std::exchange(slot().sink, std::move(sink));
}

void write(Level level, std::string_view message) {
  std::scoped_lock lock(slot().mutex);
  if (!slot().sink) return;
  try {
    slot().sink(level, message);
  } catch (...) {  // nothing fails for want of a log
  }
}

}  // namespace tutti::logging
