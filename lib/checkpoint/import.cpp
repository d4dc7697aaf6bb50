#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

#include "checkpoint/block_writer.h"
#include "checkpoint/checksum.h"
#include "checkpoint/data_key.h"
#include "checkpoint/key_blob.h"
#include "checkpoint/run_directory.h"
#include "checkpoint/safetensors_entry.h"
#include "checkpoint/safetensors_source.h"
#include "checkpoint/staging.h"
#include "tutti/checkpoint/exchange.h"
#include "tutti/core/error.h"
#include "tutti/core/version.h"

namespace tutti::checkpoint {
namespace {

namespace fs = std::filesystem;

Manifest manifest_of(const SafetensorsSource& source, const ImportOptions& options) {
  Manifest manifest{.uuid = random_name() + random_name(),
                    .steps = options.steps,
                    .world_size = 1,
                    .logical_ranks = options.logical_ranks,
                    .tutti_version = version(),
                    .files = {{.name = "model.safetensors", .prefix = "model.", .head_digest = ""},
                              {.name = "train.safetensors", .prefix = "", .head_digest = ""}},
                    .tensors = {}};
  for (const auto& [entry, reader] : source.tensors()) {
    const auto name = options.part.empty() ? entry->name : options.part + "." + entry->name;
    if (name.find('.') == std::string::npos || name.starts_with('.')) {
      throw CheckpointError(fmt::format("checkpoint: {}: tensor \"{}\" does not begin with a part and a dot",
                                        reader->path(), name),
                            reader->path());
    }
    const int file = name.starts_with(manifest.files[0].prefix) ? 0 : 1;
    const auto dtype = safetensors::dtype_of_entry(*entry, reader->path());
    manifest.tensors.push_back({name, dtype, safetensors::shape_of(*entry, reader->path()), file, {}});
  }
  return manifest;
}

class Importer {
 public:
  Importer(const SafetensorsSource& source, const ImportOptions& options, const DataKey* key,
           Manifest& manifest)
      : source_(source), options_(options), key_(key), manifest_(manifest) {}

  void write(const Directory& directory, std::size_t file) {
    PlannedFile planned{file, {}};
    for (std::size_t i = 0; i < manifest_.tensors.size(); ++i) {
      if (const auto range = manifest_.piece(manifest_.tensors[i], file))
        planned.pieces.push_back({i, *range});
    }
    std::uint64_t chunk = 0;
    auto layout = lay_out_shard(manifest_, planned, chunk);
    auto& head = layout.head;
    const auto key = fmt::format("\"{}\":\"", checksums_key);
    char* const checksums = head.data() + head.find(key) + key.size();
    const auto fill_in = [&](std::uint64_t offset, std::span<const std::byte> block) {
      for (std::size_t at = 0; at < block.size(); at += chunk) {
        const std::array checksum{chunk_checksum(block.subspan(at, std::min(chunk, block.size() - at)))};
        write_hex(checksum, checksums + (offset + at) / chunk * 16);
      }
    };
    auto& entry = manifest_.files[file];
    BlockWriter writer(make_block_file(directory, entry.name, layout.bytes, head.size(), key_),
                       std::max<std::size_t>(std::size_t{8} << 20, chunk), fill_in);
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < planned.pieces.size(); ++i) order.push_back(i);
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return layout.offsets[i]; });
    for (const auto i : order) copy(planned.pieces[i].tensor, writer);
    writer.finish(std::as_bytes(std::span(head)));
    entry.bytes = layout.bytes;
    entry.head_bytes = head.size();
    entry.head_digest = digest(head);
  }

 private:
  void copy(std::size_t index, BlockWriter& writer) {
    const auto& [entry, reader] = source_.tensors()[index];
    for (std::uint64_t at = 0; at < entry->bytes; at += buffer_.size()) {
      const auto part = buffer_.span().first(std::min<std::uint64_t>(buffer_.size(), entry->bytes - at));
      reader->read_bytes(*entry, at, part);
      if (entry->tutti_dtype() == DType::bool_) safetensors::check_bools(part, *entry, at, reader->path());
      writer.append(part);
    }
    if (options_.progress) options_.progress(entry->bytes);
  }

  const SafetensorsSource& source_;
  const ImportOptions& options_;
  const DataKey* key_;
  Manifest& manifest_;
  const Pages buffer_{std::size_t{8} << 20};
};

// A directory that gets its name when it is finished.
class Hidden {
 public:
  Hidden(const Directory& parent, std::string name) : parent_(parent), name_(std::move(name)) {
    parent.make(name_);
  }
  Hidden(const Hidden&) = delete;
  Hidden& operator=(const Hidden&) = delete;
  ~Hidden() {
    if (!name_.empty()) try {
        parent_.remove(name_);
      } catch (const std::exception&) {  // what stopped it is told already
      }
  }

  Directory open() const { return parent_.open(name_); }
  void commit(const std::string& name) {
    parent_.rename(name_, name);
    name_.clear();
    parent_.sync();
  }

 private:
  const Directory& parent_;
  std::string name_;
};

// One that asks for encryption would not take it, and who protects a run does not mean its beginning to be read by anybody.
void refuse_encrypted_run(const Directory& root, const std::string& to) {
  for (const auto steps : list(root)) {
    const auto other = step_name(steps);
    if (!root.has(fmt::format("{}/{}", other, key_blob_name))) continue;
    throw CheckpointError(
        fmt::format("checkpoint: cannot import to {} in plaintext: {} of this run is encrypted", to, other),
        to);
  }
}

}  // namespace

void import_safetensors(const std::string& from, const std::string& to, const ImportOptions& options) {
  if (options.steps < 0 || options.logical_ranks < 1) {
    throw ConfigError(fmt::format("checkpoint: steps must be at least 0 and logical_ranks 1, not {} and {}",
                                  options.steps, options.logical_ranks));
  }
  if (options.part.find('.') != std::string::npos)
    throw ConfigError(fmt::format("checkpoint: a part has no dot in its name, not \"{}\"", options.part));
  fs::path path(to);
  if (path.filename().empty()) path = path.parent_path();  // "run/"
  const auto name = path.filename().string();
  // What is encrypted is bound to its steps, and they are known by its name.
  const bool of_a_run = options.encrypt || name.starts_with("step-");
  if (of_a_run && name != step_name(options.steps)) {
    throw ConfigError(fmt::format("checkpoint: {}of {} steps, it has to be named {}, not {}",
                                  options.encrypt ? "encrypted and " : "", options.steps,
                                  step_name(options.steps), name));
  }
  const SafetensorsSource source(from);
  auto manifest = manifest_of(source, options);
  const auto parent = path.parent_path().string();
  if (!parent.empty()) prepare(parent);
  const Directory root(parent);
  std::optional<SaverLock> lock;
  if (of_a_run) lock.emplace(root);
  const auto refuse_other = [&] {
    if (name.empty() || name == "." || name == ".." || root.has(name))
      throw CheckpointError(fmt::format("checkpoint: cannot import to {}: it is there already", to), to);
  };
  refuse_other();
  if (of_a_run && !options.encrypt) refuse_encrypted_run(root, to);
  // A saver takes hidden names of its own kind for leftovers; with its lock, there is none.
  Hidden hidden(root, of_a_run ? hidden_name(manifest.uuid) : ".import-" + manifest.uuid.substr(0, 16));
  const Directory directory = hidden.open();
  DataKeyPointer key;
  if (options.encrypt) key = make_data_key(directory, manifest.uuid, manifest.steps, *options.encrypt);
  Importer importer(source, options, key.get(), manifest);
  for (std::size_t f = 0; f < manifest.files.size(); ++f) importer.write(directory, f);
  write_text(directory, manifest_name, text_of(manifest), key.get());
  directory.sync();
  refuse_other();
  hidden.commit(name);
}

}  // namespace tutti::checkpoint
