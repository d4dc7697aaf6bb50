#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "checkpoint/block_writer.h"
#include "checkpoint/fresh_files.h"
#include "checkpoint/safetensors_dtype.h"
#include "checkpoint/safetensors_layout.h"
#include "tutti/checkpoint/exchange.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view extension = ".safetensors";
constexpr std::size_t read_bytes = std::size_t{16} << 20;

std::string role_of(const std::string& name) { return name.substr(0, name.find('.')); }

using Tensors = std::vector<Checkpoint::TensorInfo>;

// As Hugging Face's tools: in order, a file is full when the next tensor would make it too large.
std::vector<Tensors> split(const Tensors& tensors, std::uint64_t most) {
  std::vector<Tensors> files(1);
  std::uint64_t bytes = 0;
  for (const auto& tensor : tensors) {
    if (most > 0 && bytes + tensor.bytes > most && !files.back().empty()) {
      files.emplace_back();
      bytes = 0;
    }
    files.back().push_back(tensor);
    bytes += tensor.bytes;
  }
  return files;
}

class Exporter {
 public:
  Exporter(const Checkpoint& checkpoint, const ExportOptions& options)
      : checkpoint_(checkpoint), options_(options), buffer_(read_bytes) {}

  void write(const Directory& directory, const std::string& name, const Tensors& tensors) {
    std::vector<safetensors::Declaration> declarations;
    for (const auto& tensor : tensors) {
      declarations.push_back(
          {name_of(tensor), std::string(safetensors::format_dtype(tensor.dtype).name), {}});
      for (const auto size : tensor.shape)
        declarations.back().shape.push_back(static_cast<std::uint64_t>(size));
    }
    // Hugging Face's loaders want to know whose the file is.
    const auto layout = safetensors::lay_out(directory.path(name), declarations, {{"format", "pt"}});
    std::vector<std::size_t> order(tensors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return layout.offsets[i]; });
    BlockWriter writer(make_block_file(directory, name, layout.bytes));
    writer.append(std::as_bytes(std::span(layout.head)));
    for (const auto i : order) copy(tensors[i], writer);
    writer.finish();
  }

  // Without the role, where there is one only.
  std::string name_of(const Checkpoint::TensorInfo& tensor) const {
    return options_.parts.size() == 1 ? tensor.name.substr(options_.parts[0].size() + 1) : tensor.name;
  }

 private:
  void copy(const Checkpoint::TensorInfo& tensor, BlockWriter& writer) {
    const auto size = size_of(tensor.dtype);
    const auto step = static_cast<std::int64_t>(buffer_.size() / size);
    for (std::int64_t first = 0; first < tensor.shape.numel(); first += step) {
      const auto count = static_cast<std::size_t>(std::min(step, tensor.shape.numel() - first));
      checkpoint_.read(tensor.name, first, BufferView(buffer_.data(), count, tensor.dtype));
      writer.append(buffer_.span().first(count * size));
      if (options_.progress) options_.progress(count * size);
    }
  }

  const Checkpoint& checkpoint_;
  const ExportOptions& options_;
  Pages buffer_;
};

// Byte for byte as Hugging Face's tools write it.
std::string index_of(const Exporter& exporter, const std::vector<Tensors>& files,
                     const std::vector<std::string>& names, std::uint64_t bytes) {
  nlohmann::json index = {{"metadata", {{"total_size", bytes}}}, {"weight_map", nlohmann::json::object()}};
  for (std::size_t f = 0; f < files.size(); ++f) {
    for (const auto& tensor : files[f]) index["weight_map"][exporter.name_of(tensor)] = names[f];
  }
  return index.dump(2, ' ', true) + "\n";
}

std::vector<std::string> names_of(const std::string& base, std::size_t files) {
  if (files == 1) return {base + std::string(extension)};
  std::vector<std::string> names;
  for (std::size_t f = 1; f <= files; ++f)
    names.push_back(fmt::format("{}-{:05}-of-{:05}{}", base, f, files, extension));
  names.push_back(fmt::format("{}{}.index.json", base, extension));
  return names;
}

// A directory of one model holds no other: loaders would mix them.
void check_no_other(const Directory& directory, const std::string& base) {
  for (const auto& name : directory.names()) {
    const bool shard = name.starts_with(base + "-") && name.ends_with(extension);
    if (shard || name == base + std::string(extension) ||
        name == fmt::format("{}{}.index.json", base, extension)) {
      throw CheckpointError(
          fmt::format("checkpoint: cannot export to {}: {} is there already", directory.path(), name),
          directory.path(name));
    }
  }
}

}  // namespace

std::vector<Checkpoint::TensorInfo> tensors_of(const Checkpoint& checkpoint,
                                               const std::vector<std::string>& parts) {
  std::vector<std::string> there;
  for (const auto& tensor : checkpoint.tensors()) {
    if (std::ranges::find(there, role_of(tensor.name)) == there.end()) there.push_back(role_of(tensor.name));
  }
  for (const auto& part : parts) {
    if (std::ranges::find(there, part) == there.end()) {
      throw CheckpointError(fmt::format("checkpoint: {} has no part \"{}\", but {}", checkpoint.path(), part,
                                        fmt::join(there, ", ")),
                            checkpoint.path());
    }
  }
  std::vector<Checkpoint::TensorInfo> tensors;
  for (const auto& tensor : checkpoint.tensors()) {
    if (parts.empty() || std::ranges::find(parts, role_of(tensor.name)) != parts.end())
      tensors.push_back(tensor);
  }
  return tensors;
}

Exported export_safetensors(const Checkpoint& checkpoint, const std::string& to,
                            const ExportOptions& options) {
  const auto tensors = tensors_of(checkpoint, options.parts);
  const fs::path path(to);
  const bool is_file = to.ends_with(extension);
  if (is_file && options.max_shard_bytes > 0) {
    throw ConfigError(
        fmt::format("checkpoint: max_shard_bytes makes several files: name a directory, not {}", to));
  }
  const auto base = is_file                     ? path.stem().string()
                    : options.parts.size() == 1 ? options.parts[0]
                                                : std::string("state");
  Exported exported{.files = {}, .tensors = tensors.size(), .bytes = 0};
  for (const auto& tensor : tensors) exported.bytes += tensor.bytes;
  const auto files = split(tensors, options.max_shard_bytes);
  const auto names = names_of(base, files.size());
  FreshFiles fresh(is_file ? path.parent_path().string() : to);
  if (is_file && fresh.directory().has(names[0])) {
    throw CheckpointError(fmt::format("checkpoint: cannot export to {}: it is there already", to), to);
  }
  if (!is_file) check_no_other(fresh.directory(), base);
  Exporter exporter(checkpoint, options);
  for (std::size_t f = 0; f < files.size(); ++f) exporter.write(fresh.hidden(), names[f], files[f]);
  if (files.size() > 1) fresh.hidden().write(names.back(), index_of(exporter, files, names, exported.bytes));
  for (const auto& name : names) exported.files.push_back(fresh.directory().path(name));
  fresh.commit(names);
  return exported;
}

}  // namespace tutti::checkpoint
