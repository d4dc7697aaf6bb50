#include "checkpoint/write_checkpoint.h"

#include <algorithm>
#include <vector>

#include "checkpoint/data_key.h"
#include "checkpoint/image_file.h"
#include "checkpoint/outcome.h"
#include "checkpoint/run_directory.h"
#include "tutti/core/error.h"
#include "tutti/core/version.h"

namespace tutti::checkpoint {
namespace {

// What the rank that wrote a file tells of it.
struct Facts {
  std::uint64_t bytes = 0, head_bytes = 0;
  char head_digest[32] = {};
};

void collect(Communicator& world, std::vector<ManifestFile>& files) {
  const auto rank = static_cast<std::size_t>(world.rank());
  Facts mine{files[rank].bytes, files[rank].head_bytes, {}};
  std::ranges::copy(files[rank].head_digest, mine.head_digest);
  std::vector<Facts> all(rank == 0 ? files.size() : 0);
  world.gather(ConstBufferView(&mine, sizeof mine, DType::u8),
               BufferView(all.data(), all.size() * sizeof mine, DType::u8));
  for (std::size_t f = 0; f < all.size(); ++f) {
    files[f].bytes = all[f].bytes;
    files[f].head_bytes = all[f].head_bytes;
    files[f].head_digest.assign(all[f].head_digest, sizeof mine.head_digest);
  }
}

}  // namespace

Manifest new_manifest(const Communicator& world, std::int64_t steps) {
  Manifest manifest;
  manifest.uuid = random_name() + random_name();
  manifest.steps = steps;
  manifest.world_size = world.size();
  manifest.logical_ranks = world.logical_ranks().count();
  manifest.tutti_version = version();
  return manifest;
}

void share_uuid(Manifest& manifest, Communicator& world) {
  world.broadcast(BufferView(manifest.uuid.data(), manifest.uuid.size(), DType::u8));
}

void write_checkpoint(Communicator& world, const Directory& root, const std::string& hidden,
                      const std::string& name, SavePlan& plan, Staging& staging, Saving& saving,
                      const std::optional<Encryption>& encryption) {
  const bool first = world.rank() == 0;
  auto& manifest = plan.manifest;
  const auto& path = saving.path();
  bool published = false;
  DataKeyPointer key;
  try {
    together(world, path, [&] {
      if (!first) return;
      root.make(hidden);
      if (encryption) key = make_data_key(root.open(hidden), manifest.uuid, manifest.steps, *encryption);
    });
    if (encryption) key = share(key, world);
    together(world, path, [&] {
      const Directory directory = root.open(hidden);
      for (auto& image : staging.images())
        write_image(directory, image, manifest.files[image.file], key.get(), saving.written, saving.stop);
      directory.sync();
    });
    if (plan.sharded) collect(world, manifest.files);
    together(world, path, [&] {
      if (saving.stop) throw CheckpointError("checkpoint: the save was abandoned", path);
    });
    together(world, path, [&] {
      if (!first) return;
      const Directory directory = root.open(hidden);
      write_text(directory, manifest_name, text_of(manifest), key.get());
      directory.sync();
      publish(root, hidden, name);
      published = true;
      root.sync();
    });
  } catch (...) {
    // Once it is published, the hidden one is what it replaced: nobody knows which of the two a power cut would leave.
    if (first && !published) remove_quietly(root, hidden);
    throw;
  }
}

}  // namespace tutti::checkpoint
