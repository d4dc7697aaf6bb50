#include "checkpoint/staging.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "checkpoint/bulk_copy.h"
#include "checkpoint/checksum.h"
#include "checkpoint/safetensors_dtype.h"
#include "checkpoint/safetensors_layout.h"
#include "kernels/memory.h"

namespace tutti::checkpoint {
namespace {

using safetensors::Declaration;

Declaration declaration(const ManifestFile& file, const ManifestTensor& tensor, Sharding::Range range) {
  Declaration declared{
      Manifest::name_in(file, tensor), std::string(safetensors::format_dtype(tensor.dtype).name), {}};
  if (range.size() == tensor.bytes()) {
    for (const auto size : tensor.shape) declared.shape.push_back(static_cast<std::uint64_t>(size));
  } else {
    declared.shape = {static_cast<std::uint64_t>(range.size()) / size_of(tensor.dtype)};
  }
  return declared;
}

void copy_to_host(std::byte* to, const Tensor& local, std::int64_t begin, std::size_t bytes) {
  if (bytes == 0) return;
  const Tensor dense = local.detach().contiguous();
  const auto* from = static_cast<const std::byte*>(dense.raw_data()) + begin;
  if (dense.device().is_cpu()) {
    bulk_copy(to, from, bytes);
  } else {
    kernels::copy_bytes(to, Device::cpu(), from, dense.device(), bytes);
  }
}

}  // namespace

safetensors::FileLayout lay_out_shard(const Manifest& manifest, const PlannedFile& planned,
                                      std::uint64_t& chunk) {
  const auto& file = manifest.files[planned.file];
  std::vector<Declaration> declarations;
  std::uint64_t bytes = 0;
  for (const auto& [tensor, range] : planned.pieces) {
    declarations.push_back(declaration(file, manifest.tensors[tensor], range));
    bytes += static_cast<std::uint64_t>(range.size());
  }
  chunk = chunk_size_for(bytes);
  const auto chunks = static_cast<std::size_t>(round_up(bytes, chunk) / chunk);
  return safetensors::lay_out(file.name, declarations,
                              {{"format", "pt"},
                               {uuid_key, manifest.uuid},
                               {steps_key, std::to_string(manifest.steps)},
                               {file_key, file.name},
                               {chunk_key, std::to_string(chunk)},
                               {checksums_key, std::string(16 * chunks, '0')}},
                              page);
}

bool Staging::lay_out(const SavePlan& plan) {
  images_.clear();
  offsets_.clear();
  std::vector<std::string> heads;
  std::size_t total = 0;
  for (const auto& planned : plan.files) {
    std::uint64_t chunk = 0;
    auto layout = lay_out_shard(plan.manifest, planned, chunk);
    const auto size = round_up(layout.bytes);
    images_.push_back({planned.file, {}, layout.bytes, layout.head.size(), chunk, nullptr});
    offsets_.push_back(std::move(layout.offsets));
    heads.push_back(std::move(layout.head));
    total += size;
  }
  const bool fresh = !memory_ || memory_->size() < total || memory_.use_count() > 1;
  if (fresh) {
    release();
    // A head may need a page more the next time: numbers in it grow.
    memory_ = std::make_shared<Pages>(total + images_.size() * page);
  }
  std::byte* next = memory_->data();
  for (std::size_t i = 0; i < images_.size(); ++i) {
    auto& image = images_[i];
    const auto& head = heads[i];
    image.memory = {next, round_up(image.bytes)};
    std::memcpy(next, head.data(), head.size());
    // What follows the last byte goes to disk, and is cut off there.
    std::memset(next + image.bytes, 0, image.memory.size() - image.bytes);
    const auto key = fmt::format("\"{}\":\"", checksums_key);
    image.checksums = reinterpret_cast<char*>(next) + head.find(key) + key.size();
    next += image.memory.size();
  }
  return fresh;
}

std::uint64_t Staging::bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& image : images_) bytes += image.memory.size();
  return bytes;
}

Staging::~Staging() { release(); }

void Staging::release() {
  if (pinned_.is_cuda()) kernels::launch<kernels::Unpin>(pinned_, memory_->data());
  pinned_ = Device::cpu();
  memory_.reset();
}

void Staging::pin(const ShardedTensors& state) {
  if (pinned_.is_cuda() || memory_->size() == 0) return;
  const auto on_gpu = std::ranges::find_if(
      state, [](const ShardedTensor& tensor) { return tensor.local.device().is_cuda(); });
  if (on_gpu == state.end()) return;
  const Device device = on_gpu->local.device();
  if (kernels::launch<kernels::Pin>(device, memory_->data(), memory_->size())) pinned_ = device;
}

void Staging::reserve(const SavePlan& plan, const ShardedTensors& state) {
  if (lay_out(plan) && memory_->size() > 0) {
    for (std::size_t at = 0; at < memory_->size(); at += page) memory_->data()[at] = std::byte{0};
  }
  pin(state);
}

void Staging::copy(const SavePlan& plan, const ShardedTensors& state) {
  lay_out(plan);
  pin(state);
  for (std::size_t i = 0; i < images_.size(); ++i) {
    const auto& pieces = plan.files[i].pieces;
    for (std::size_t p = 0; p < pieces.size(); ++p) {
      const auto& [tensor, range] = pieces[p];
      // `local` starts at the rank's own part; of what every rank holds, a piece is anywhere in it.
      const auto& from = state[tensor];
      const std::int64_t begin = from.sharding.share == 0 ? range.begin : 0;
      copy_to_host(images_[i].memory.data() + offsets_[i][p], from.local, begin,
                   static_cast<std::size_t>(range.size()));
    }
  }
}

}  // namespace tutti::checkpoint
