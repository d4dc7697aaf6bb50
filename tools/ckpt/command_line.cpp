#include "ckpt/command_line.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "tutti/core/version.h"

namespace tutti::ckpt {
namespace {

constexpr auto footer = R"(
Exit code: 0; 1 where ls, verify or prune met damage and where diff met a difference; 2 for wrong usage, options and key files
that cannot be used; 3 where something could not be read or written; 128 + signal when stopped by one. Results go to
standard output, all else to standard error. What a command makes is there whole, or not at all.

Example: tutti-ckpt verify run && tutti-ckpt export run/step-0000001000 exported --max-shard-size 5GB)";

// Every option of every command.
struct Options {
  Common common;
  std::string path, other;
  bool fingerprint = false;
  std::vector<std::string> parts = {"all"}, recipients;
  ExportOptions exported;
  ImportOptions imported;
  checkpoint::PruneOptions prune;
};

using Action = std::function<int()>;

Action add_ls(CLI::App& app, Options& options) {
  app.add_option("RUN", options.path, "Directory of a run")->required();
  app.footer("Manifests and sizes of files are looked at; verify reads the files.");
  return [&] { return ls(options.path, options.common); };
}

Action add_show(CLI::App& app, Options& options) {
  app.add_option("CHECKPOINT", options.path, "Directory of a checkpoint")->required();
  app.add_flag("--fingerprint", options.fingerprint,
               "Also tutti::fingerprint of the state; everything is read, and memory for all is needed");
  return [&] { return show(options.path, options.fingerprint, options.common); };
}

void add_path(CLI::App& app, Options& options) {
  app.add_option("CHECKPOINT|RUN", options.path,
                 "Directory of a checkpoint, or of a run: all of its checkpoints")
      ->required();
}

Action add_verify(CLI::App& app, Options& options) {
  add_path(app, options);
  return [&] { return verify(options.path, options.common); };
}

void add_parts(CLI::App& app, std::vector<std::string>& parts, const std::string& text) {
  app.add_option("--parts", parts, text)
      ->delimiter(',')
      ->type_name("PART,...")
      ->allow_extra_args(false)
      ->default_str(parts.front());
}

Action add_diff(CLI::App& app, Options& options) {
  app.add_option("A", options.path, "Directory of a checkpoint")->required();
  app.add_option("B", options.other, "Another")->required();
  add_parts(app, options.parts, "Compare these, as model,optimizer");
  app.footer("Bits are compared: 0 and -0 differ, by 0, and a NaN equals one of the same bits.");
  return [&] { return diff(options.path, options.other, parts_of(options.parts), options.common); };
}

Action add_export(CLI::App& app, Options& all) {
  auto& options = all.exported;
  app.add_option("CHECKPOINT", options.from, "Directory of a checkpoint")->required();
  app.add_option(
         "TO", options.to,
         "A file that ends with .safetensors, or a directory for model.safetensors; nothing is replaced")
      ->required();
  add_parts(app, options.parts,
            "What goes out: all, or as model,optimizer. A single part's tensors lose its name in front");
  app.add_option("--max-shard-size", options.max_shard_bytes,
                 "More goes to model-00001-of-0000N.safetensors, ..., with an index: 5GB, 500MB, 4GiB")
      ->transform(CLI::AsSizeValue(true).description(""))
      ->type_name("SIZE");
  return [&] { return export_to(all.exported, all.common); };
}

Action add_import(CLI::App& app, Options& all) {
  auto& options = all.imported;
  app.add_option("FROM", options.from, "A safetensors file, or an index: model.safetensors.index.json")
      ->required();
  app.add_option("TO", options.to,
                 "The checkpoint to make; a Checkpointer finds it by the name RUN/step-0000000000")
      ->required();
  app.add_option("--part", options.part, "What the tensors are; all where their names begin with it")
      ->capture_default_str();
  app.add_option("--steps", options.steps, "Steps done; those in the name of TO if not given");
  app.add_option("--logical-ranks", options.logical_ranks, "Of the world that is going to load it")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.footer(
      "With --key-file, the checkpoint is encrypted: each of those keys opens it.\n"
      "It has to be named as one of a run then, RUN/step-0000000000.");
  return [&] { return import_from(all.imported, all.common); };
}

Action add_rewrap(CLI::App& app, Options& options) {
  add_path(app, options);
  app.add_option("--recipient", options.recipients,
                 "A key that is to open it, all others not; may be given again")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->required();
  app.footer("Only keys.json is written. --key-file names a key that opens it now.");
  return [&] { return rewrap(options.path, options.recipients, options.common); };
}

Action add_prune(CLI::App& app, Options& options) {
  app.add_option("RUN", options.path, "Directory of a run")->required();
  app.add_option("--keep", options.prune.keep, "How many of the newest good checkpoints stay")
      ->check(CLI::PositiveNumber)
      ->required();
  app.add_option("--keep-every", options.prune.keep_every, "Those of steps divisible by this stay too")
      ->check(CLI::PositiveNumber);
  app.add_flag("--dry-run", options.prune.dry_run, "Only tell what would be removed");
  app.footer(
      "Before anything is removed, checkpoints that stay are read, newest first, until one is good to its "
      "last byte.\n"
      "Damaged ones stay, and count for nothing.");
  return [&] { return prune(options.path, options.prune, options.common); };
}

struct Command {
  const char* name;
  const char* text;
  Action (*add)(CLI::App& app, Options& options);
};

constexpr Command commands[] = {
    {"ls", "List the checkpoints of a run, newest first", add_ls},
    {"show", "Tell what a checkpoint holds", add_show},
    {"verify", "Read every byte and name what is damaged", add_verify},
    {"diff", "Compare the tensors of two checkpoints", add_diff},
    {"export", "Write safetensors files for Python, and Hugging Face's tools", add_export},
    {"import", "Make a checkpoint of safetensors files", add_import},
    {"rewrap", "Let other keys open an encrypted checkpoint, and the old ones no more", add_rewrap},
    {"prune", "Remove old checkpoints of a run, and what interrupted saves left", add_prune},
};

}  // namespace

Request parse(int argc, const char* const* argv) {
  CLI::App app("Looks at checkpoints, and after them.", "tutti-ckpt");
  app.footer(footer);
  app.set_version_flag("--version", std::string("tutti-ckpt ") + tutti::version());
  app.require_subcommand(1);
  const auto options = std::make_shared<Options>();
  Action chosen;
  for (const auto& command : commands) {
    auto* sub = app.add_subcommand(command.name, command.text);
    const auto action = command.add(*sub, *options);
    sub->add_flag("--json", options->common.json, "Print one JSON document");
    sub->add_option("--key-file", options->common.key_files,
                    "A key that opens encrypted checkpoints; may be given again")
        ->type_name("FILE")
        ->allow_extra_args(false);
    sub->callback([&chosen, action, options] { chosen = [action, options] { return action(); }; });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? success : usage;
  }
  return chosen;
}

}  // namespace tutti::ckpt
