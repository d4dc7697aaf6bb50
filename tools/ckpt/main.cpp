// tutti-ckpt: looks at checkpoints, and after them.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "ckpt/command.h"
#include "ckpt/command_line.h"
#include "ckpt/progress.h"
#include "tutti/core/error.h"

namespace {

using namespace tutti;
using namespace tutti::ckpt;

// The disk of the log may be full, too: that throws nothing here.
int complain(const char* message, int code) {
  std::fputs(fmt::format("tutti-ckpt: {}\n", message).c_str(), stderr);
  return code;
}

int perform(const std::function<int()>& action) {
  try {
    const int code = action();
    // A disk may be full, or nobody reading.
    if (std::fflush(stdout) != 0 || std::ferror(stdout))
      return complain(fmt::format("cannot write to standard output: {}", std::strerror(errno)).c_str(),
                      failure);
    return code;
  } catch (const Interrupted& stop) {
    return complain(stop.what(), 128 + stop.signal());
  } catch (const ConfigError& error) {
    return complain(error.what(), usage);
  } catch (const std::exception& error) {
    return complain(error.what(), failure);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto request = parse(argc, argv);
  const auto* code = std::get_if<int>(&request);
  return code ? *code : perform(std::get<std::function<int()>>(request));
}
