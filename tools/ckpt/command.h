// The commands of tutti-ckpt: one file each.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace tutti::ckpt {

// Exit codes.
inline constexpr int success = 0;
inline constexpr int found = 1;  // damage, or a difference
inline constexpr int usage = 2;
inline constexpr int failure = 3;

// Options of every command.
struct Common {
  bool json = false;
  std::vector<std::string> key_files;
};

// Returns the exit code.
using Action = std::function<int()>;

// Each adds its options to the subcommand and returns what it does; `common` is filled in by then.
Action add_ls(CLI::App& app, const Common& common);
Action add_show(CLI::App& app, const Common& common);
Action add_verify(CLI::App& app, const Common& common);
Action add_diff(CLI::App& app, const Common& common);
Action add_export(CLI::App& app, const Common& common);
Action add_import(CLI::App& app, const Common& common);
Action add_rewrap(CLI::App& app, const Common& common);
Action add_prune(CLI::App& app, const Common& common);

struct Command {
  const char* name;
  const char* text;
  Action (*add)(CLI::App& app, const Common& common);
};

inline constexpr Command commands[] = {
    {"ls", "List the checkpoints of a run, newest first", add_ls},
    {"show", "Tell what a checkpoint holds", add_show},
    {"verify", "Read every byte and name what is damaged", add_verify},
    {"diff", "Compare the tensors of two checkpoints", add_diff},
    {"export", "Write safetensors files for Python, and Hugging Face's tools", add_export},
    {"import", "Make a checkpoint of safetensors files", add_import},
    {"rewrap", "Let other keys open an encrypted checkpoint, and the old ones no more", add_rewrap},
    {"prune", "Remove old checkpoints of a run, and what interrupted saves left", add_prune},
};

}  // namespace tutti::ckpt
