// Output of several ranks to one place, line by line.
#pragma once

#include <string>
#include <string_view>

namespace tutti::launch {

// Collects what one rank writes and passes on whole lines, each with the prefix, each in one write. With a
// prefix a carriage return ends a line too: a progress bar becomes lines. With an empty prefix the lines pass
// unchanged.
class LineWriter {
 public:
  // `clear_line`: a terminal that also shows another rank's progress bar; the bar gives way to each line.
  LineWriter(int to, std::string prefix, bool clear_line)
      : to_(to), prefix_(std::move(prefix)), clear_line_(clear_line) {}

  void add(std::string_view bytes);
  // What stands without an end of line; called when the rank has closed its end.
  void finish();

 private:
  void emit(std::string_view line);
  void flush();

  int to_;
  std::string prefix_;
  bool clear_line_;
  std::string line_;
  bool after_return_ = false;
  std::string ready_;
};

// Writes all of it, or gives up on a reader that is gone.
void write_all(int to, std::string_view bytes);

}  // namespace tutti::launch
