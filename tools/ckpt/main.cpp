// tutti-ckpt: looks at checkpoints, and after them.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "ckpt/command.h"
#include "ckpt/progress.h"
#include "tutti/core/error.h"
#include "tutti/core/version.h"

namespace {

using namespace tutti;
using namespace tutti::ckpt;

constexpr auto footer = R"(
Exit code: 0; 1 where ls, verify or prune met damage and where diff met a difference; 2 for wrong usage, options and key files
that cannot be used; 3 where something could not be read or written; 128 + signal when stopped by one. Results go to
standard output, all else to standard error. What a command makes is there whole, or not at all.

Example: tutti-ckpt verify run && tutti-ckpt export run/step-0000001000 exported --max-shard-size 5GB)";

// The disk of the log may be full, too: that throws nothing here.
int complain(const char* message, int code) {
  std::fputs(fmt::format("tutti-ckpt: {}\n", message).c_str(), stderr);
  return code;
}

int perform(const Action& action) {
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
  CLI::App app("Looks at checkpoints, and after them.", "tutti-ckpt");
  app.footer(footer);
  app.set_version_flag("--version", std::string("tutti-ckpt ") + tutti::version());
  app.require_subcommand(1);
  Common common;
  Action chosen;
  for (const auto& command : commands) {
    auto* sub = app.add_subcommand(command.name, command.text);
    const auto action = command.add(*sub, common);
    sub->add_flag("--json", common.json, "Print one JSON document");
    sub->add_option("--key-file", common.key_files,
                    "A key that opens encrypted checkpoints; may be given again")
        ->type_name("FILE")
        ->allow_extra_args(false);
    sub->callback([&chosen, action] { chosen = action; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? success : usage;
  }
  return perform(chosen);
}
