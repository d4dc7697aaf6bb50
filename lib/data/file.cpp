#include "data/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "tutti/core/error.h"

namespace tutti::data {
namespace {

struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

}  // namespace

std::string read_file(std::string_view what, const std::string& path) {
  const auto fail = [&](const std::string& reason) -> DataError {
    return DataError(fmt::format("{}: cannot read {}: {}", what, path, reason));
  };
  const auto system_reason = [] { return std::generic_category().message(errno); };

  // Without O_NONBLOCK, opening a FIFO would wait for a writer.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.value < 0) throw fail(system_reason());
  struct stat status {};
  if (::fstat(file.value, &status) != 0) throw fail(system_reason());
  if (!S_ISREG(status.st_mode)) throw fail("it is no regular file");
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto got = ::read(file.value, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw fail(system_reason());
    if (got == 0) throw fail("it became shorter while it was read");
    done += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace tutti::data
