#include "launch/line_writer.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace tutti::launch {
namespace {

constexpr std::size_t longest_line = 1 << 20;  // what a rank may make this process hold back

}  // namespace

void write_all(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = write(to, bytes.data(), bytes.size());
    if (written > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd ready{to, POLLOUT, 0};
      poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return;
    }
  }
}

void LineWriter::add(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto end = bytes.find_first_of(prefix_.empty() ? "\n" : "\r\n");
    line_ += bytes.substr(0, end);
    if (end == std::string_view::npos) {
      if (line_.size() < longest_line) break;
      // Only lines with a prefix are cut where they are too long.
      prefix_.empty() ? void(ready_ += line_) : emit(line_);
      line_.clear();
      break;
    }
    // "\r\n" and a bar's leading "\r" leave an empty line behind their first character; only "\n\n" means
    // one.
    const bool overwritten = bytes[end] == '\r' && line_.empty();
    const bool second_half = bytes[end] == '\n' && line_.empty() && after_return_;
    if (!overwritten && !second_half) emit(line_);
    after_return_ = bytes[end] == '\r';
    line_.clear();
    bytes.remove_prefix(end + 1);
  }
  flush();
}

void LineWriter::finish() {
  if (prefix_.empty()) {
    ready_ += line_;
  } else if (!line_.empty()) {
    emit(line_);
  }
  line_.clear();
  flush();
}

void LineWriter::emit(std::string_view line) {
  if (clear_line_) ready_ += "\r\033[K";
  ready_ += prefix_;
  ready_ += line;
  ready_ += '\n';
}

void LineWriter::flush() {
  write_all(to_, ready_);
  ready_.clear();
}

}  // namespace tutti::launch
