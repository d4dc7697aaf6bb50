#include "checkpoint/binding.h"

#include <fmt/format.h>

#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

constexpr std::string_view uuid_characters =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-";

}  // namespace

void check_uuid(std::string_view uuid, std::string_view file) {
  if (!uuid.empty() && uuid.size() <= 64 && uuid.find_first_not_of(uuid_characters) == uuid.npos) return;
  throw CheckpointError(
      fmt::format("checkpoint: {}: \"{}\" is no id of a checkpoint: 1 to 64 letters, digits or '-'", file,
                  uuid),
      file);
}

// One field a line, none of which can hold a line's end: no two files share their associated data.
std::string associated_data(std::string_view uuid, std::int64_t steps, std::string_view file_name) {
  check_uuid(uuid, file_name);
  using namespace std::string_view_literals;
  if (file_name.empty() || file_name.size() > 255 || file_name.find_first_of("/\0\n"sv) != file_name.npos) {
    throw CheckpointError(fmt::format("checkpoint: \"{}\" is no name of a file in a checkpoint", file_name),
                          file_name);
  }
  if (steps < 0) {
    throw CheckpointError(
        fmt::format("checkpoint: {}: a checkpoint has no negative step {}", file_name, steps), file_name);
  }
  return fmt::format("tutti checkpoint v{}\n{}\n{}\n{}", encryption_format, uuid, steps, file_name);
}

std::string wrap_context(std::string_view uuid) {
  check_uuid(uuid, "");
  return fmt::format("tutti checkpoint v{} {}", encryption_format, uuid);
}

}  // namespace tutti::checkpoint
