#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <memory>
#include <optional>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "ckpt/progress.h"
#include "ckpt/text.h"
#include "tutti/checkpoint/exchange.h"

namespace tutti::ckpt {
namespace {

struct Options {
  std::string from, to;
  std::string part = "model";
  std::optional<std::int64_t> steps;
  std::int64_t logical_ranks = 1;
};

// Of "step-0000000100"; 0 of another name.
std::int64_t steps_in(const std::string& path) {
  std::filesystem::path named(path);
  if (named.filename().empty()) named = named.parent_path();
  const auto name = named.filename().string();
  constexpr std::string_view prefix = "step-";
  std::int64_t steps = 0;
  if (name.starts_with(prefix))
    std::from_chars(name.data() + prefix.size(), name.data() + name.size(), steps);
  return steps;
}

int run(const Options& options, const Common& common) {
  const auto steps = options.steps.value_or(steps_in(options.to));
  {
    Progress progress("import", 0);
    checkpoint::import_safetensors(options.from, options.to,
                                   {.part = options.part == "all" ? "" : options.part,
                                    .steps = steps,
                                    .logical_ranks = options.logical_ranks,
                                    .progress = progress.report()});
  }
  const Checkpoint made(options.to);
  if (common.json) {
    print_json({{"path", options.to},
                {"steps", steps},
                {"tensors", made.tensors().size()},
                {"bytes", bytes_of(made)}});
    return success;
  }
  fmt::print("{}: {} tensors, {}\n", options.to, made.tensors().size(),
             bytes_text(static_cast<double>(bytes_of(made))));
  return success;
}

}  // namespace

Action add_import(CLI::App& app, const Common& common) {
  const auto options = std::make_shared<Options>();
  app.add_option("FROM", options->from, "A safetensors file, or an index: model.safetensors.index.json")
      ->required();
  app.add_option("TO", options->to,
                 "The checkpoint to make; a Checkpointer finds it by the name RUN/step-0000000000")
      ->required();
  app.add_option("--part", options->part, "What the tensors are; all where their names begin with it")
      ->capture_default_str();
  app.add_option("--steps", options->steps, "Steps done; those in the name of TO if not given");
  app.add_option("--logical-ranks", options->logical_ranks, "Of the world that is going to load it")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  return [&common, options] { return run(*options, common); };
}

}  // namespace tutti::ckpt
