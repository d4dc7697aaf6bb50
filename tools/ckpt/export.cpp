#include "tutti/checkpoint/exchange.h"

#include <fmt/format.h>

#include "ckpt/command.h"
#include "ckpt/open.h"
#include "ckpt/progress.h"
#include "ckpt/text.h"

namespace tutti::ckpt {

int export_to(const ExportOptions& options, const Common& common) {
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

}  // namespace tutti::ckpt
