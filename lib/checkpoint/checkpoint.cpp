#include "tutti/checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "checkpoint/open_checkpoint.h"
#include "checkpoint/run_directory.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

std::unique_ptr<checkpoint::OpenCheckpoint> open(const std::string& path,
                                                 const std::optional<Encryption>& keys) {
  checkpoint::Directory directory(path);
  std::error_code error;
  const auto name = std::filesystem::canonical(path, error).filename().string();
  const auto steps = checkpoint::steps_in(name);
  if (keys && !steps) {
    throw CheckpointError(
        fmt::format("checkpoint: {}: what is encrypted is opened under the name step-... that it was saved "
                    "under, not {}",
                    path, name),
        path);
  }
  auto key = checkpoint::unlock(directory, steps.value_or(0), keys ? &*keys : nullptr);
  return std::make_unique<checkpoint::OpenCheckpoint>(std::move(directory), std::move(key));
}

}  // namespace

Checkpoint::Checkpoint(const std::string& path, const std::optional<Encryption>& keys)
    : encrypted_(keys), open_(open(path, keys)) {
  const auto& manifest = open_->manifest();
  for (const auto& file : manifest.files) files_.push_back({file.name, file.bytes});
  for (const auto& tensor : manifest.tensors) {
    std::size_t pieces = 0;
    for (std::size_t f = 0; f < manifest.files.size(); ++f) pieces += manifest.piece(tensor, f).has_value();
    tensors_.push_back(
        {tensor.name, tensor.dtype, tensor.shape, static_cast<std::uint64_t>(tensor.bytes()), pieces});
  }
}

Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

std::vector<std::string> Checkpoint::list(const std::string& directory) {
  const checkpoint::Directory root(directory);
  std::vector<std::string> paths;
  for (const auto steps : checkpoint::list(root)) paths.push_back(root.path(checkpoint::step_name(steps)));
  return paths;
}

const std::string& Checkpoint::path() const { return open_->path(); }
std::int64_t Checkpoint::steps() const { return open_->manifest().steps; }
std::int64_t Checkpoint::world_size() const { return open_->manifest().world_size; }
std::int64_t Checkpoint::logical_ranks() const { return open_->manifest().logical_ranks; }
const std::string& Checkpoint::uuid() const { return open_->manifest().uuid; }
const std::string& Checkpoint::tutti_version() const { return open_->manifest().tutti_version; }
const std::string& Checkpoint::digest() const { return open_->digest(); }

const Checkpoint::TensorInfo& Checkpoint::at(std::string_view name) const {
  const auto found = std::ranges::find(tensors_, name, &TensorInfo::name);
  if (found == tensors_.end())
    throw CheckpointError(fmt::format("checkpoint: {} has no tensor \"{}\"", path(), name), path());
  return *found;
}

Tensor Checkpoint::read(std::string_view name) const {
  const auto& info = at(name);
  Tensor tensor = empty(info.shape, {info.dtype, Device::cpu()});
  read(name, 0, BufferView(tensor));
  return tensor;
}

void Checkpoint::read(std::string_view name, std::int64_t first, BufferView out) const {
  const auto& info = at(name);
  if (out.dtype != info.dtype) {
    throw DTypeError(fmt::format("checkpoint: tensor \"{}\" is {}, the buffer {}", name, name_of(info.dtype),
                                 name_of(out.dtype)));
  }
  if (!out.device.is_cpu())
    throw DeviceError(fmt::format("checkpoint: a buffer must be on the host, not on {}", out.device.str()));
  const auto count = static_cast<std::int64_t>(out.count);
  if (first < 0 || count > info.shape.numel() || first > info.shape.numel() - count) {
    throw ShapeError(fmt::format("checkpoint: tensor \"{}\" has {} elements: none are [{}, {} + {})", name,
                                 info.shape.numel(), first, first, count));
  }
  const auto size = static_cast<std::int64_t>(size_of(info.dtype));
  const checkpoint::Wanted wanted{static_cast<std::size_t>(&info - tensors_.data()),
                                  {first * size, (first + count) * size},
                                  static_cast<std::byte*>(out.data)};
  open_->read({&wanted, 1});
}

NamedTensors Checkpoint::load() const {
  NamedTensors all;
  std::vector<checkpoint::Wanted> wanted;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const auto& info = tensors_[i];
    all.push_back({info.name, empty(info.shape, {info.dtype, Device::cpu()})});
    wanted.push_back({i,
                      {0, static_cast<std::int64_t>(info.bytes)},
                      static_cast<std::byte*>(all.back().tensor.raw_data())});
  }
  open_->read(wanted);
  return all;
}

std::vector<Checkpoint::Damage> Checkpoint::verify(const std::function<void(std::uint64_t)>& progress) const {
  std::vector<Damage> damages;
  for (std::size_t f = 0; f < files_.size(); ++f) {
    try {
      for (auto& damage : open_->verify(f, progress)) damages.push_back(std::move(damage));
    } catch (const CheckpointError& error) {
      damages.push_back({files_[f].name, error.what(), error.offset(), "", "", ""});
    }
  }
  return damages;
}

std::string Checkpoint::fingerprint() const { return tutti::fingerprint(load()); }

}  // namespace tutti
