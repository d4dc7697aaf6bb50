#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <optional>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "ckpt/progress.h"
#include "ckpt/text.h"
#include "tutti/checkpoint/exchange.h"

namespace tutti::ckpt {
namespace {

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

}  // namespace

int import_from(const ImportOptions& options, const Common& common) {
  const auto steps = options.steps.value_or(steps_in(options.to));
  std::optional<Encryption> encrypt;
  if (!common.key_files.empty()) encrypt = keys_of(common.key_files);
  {
    Progress progress("import", 0);
    checkpoint::import_safetensors(options.from, options.to,
                                   {.part = options.part == "all" ? "" : options.part,
                                    .steps = steps,
                                    .logical_ranks = options.logical_ranks,
                                    .encrypt = encrypt,
                                    .progress = progress.report()});
  }
  const auto made = open(options.to, common);
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

}  // namespace tutti::ckpt
