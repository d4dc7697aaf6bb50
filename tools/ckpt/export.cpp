#include "tutti/checkpoint/exchange.h"

#include <fmt/format.h>

#include <memory>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "ckpt/progress.h"
#include "ckpt/text.h"

namespace tutti::ckpt {
namespace {

struct Options {
  std::string from, to;
  std::vector<std::string> parts = {"model"};
  std::uint64_t max_shard_bytes = 0;
};

int run(const Options& options, const Common& common) {
  const auto checkpoint = open(options.from, common);
  const auto parts = parts_of(options.parts);
  std::uint64_t bytes = 0;
  for (const auto& tensor : checkpoint::tensors_of(checkpoint, parts)) bytes += tensor.bytes;
  checkpoint::Exported exported;
  {
    Progress progress("export", bytes);
    exported = checkpoint::export_safetensors(
        checkpoint, options.to,
        {.parts = parts, .max_shard_bytes = options.max_shard_bytes, .progress = progress.report()});
  }
  if (common.json) {
    print_json({{"files", exported.files}, {"tensors", exported.tensors}, {"bytes", exported.bytes}});
    return success;
  }
  for (const auto& file : exported.files) fmt::print("{}\n", file);
  fmt::print("{} tensors, {}\n", exported.tensors, bytes_text(static_cast<double>(exported.bytes)));
  return success;
}

}  // namespace

Action add_export(CLI::App& app, const Common& common) {
  const auto options = std::make_shared<Options>();
  app.add_option("CHECKPOINT", options->from, "Directory of a checkpoint")->required();
  app.add_option(
         "TO", options->to,
         "A file that ends with .safetensors, or a directory for model.safetensors; nothing is replaced")
      ->required();
  app.add_option("--parts", options->parts,
                 "What goes out: all, or as model,optimizer. A single part's tensors lose its name in front")
      ->delimiter(',')
      ->type_name("PART,...")
      ->allow_extra_args(false)
      ->default_str("model");
  app.add_option("--max-shard-size", options->max_shard_bytes,
                 "More goes to model-00001-of-0000N.safetensors, ..., with an index: 5GB, 500MB, 4GiB")
      ->transform(CLI::AsSizeValue(true).description(""))
      ->type_name("SIZE");
  return [&common, options] { return run(*options, common); };
}

}  // namespace tutti::ckpt
