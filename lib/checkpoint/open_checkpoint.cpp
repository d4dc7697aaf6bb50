#include "checkpoint/open_checkpoint.h"

#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <exception>
#include <system_error>
#include <thread>

#include "checkpoint/stream_layout.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

constexpr std::size_t most_manifest_bytes = std::size_t{1} << 30;

// Retention has the lock for a moment when it looks whether it is taken, and then the directory gets another name. Returns
// false where somebody else has it for longer.
bool lock_shared(int descriptor) {
  for (int attempt = 0;; ++attempt) {
    // Where a file system has no locks, one that retention takes away is damaged, to those who read it.
    if (uninterrupted([&] { return ::flock(descriptor, LOCK_SH | LOCK_NB); }) == 0 || errno != EWOULDBLOCK)
      return true;
    if (attempt == 100) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

constexpr std::uint64_t block_bytes = 4 << 20;
constexpr std::size_t reader_threads = 8;  // most of them wait for the disk

}  // namespace

OpenCheckpoint::OpenCheckpoint(Directory directory, DataKeyPointer key)
    : directory_(std::move(directory)),
      key_(std::move(key)),
      lock_(directory_.open_to_read(name_on_disk(manifest_name, key_.get()))) {
  const auto name = directory_.path(name_on_disk(manifest_name, key_.get()));
  if (!lock_shared(lock_.get()))
    throw CheckpointError(fmt::format("checkpoint: {} is being removed", path()), name);
  const auto text = read_text(directory_, manifest_name, most_manifest_bytes, key_.get());
  manifest_ = parse_manifest(text, name);
  if (key_ && key_->uuid != manifest_.uuid) {
    throw CheckpointError(fmt::format("checkpoint: {}: it is of checkpoint {}, and the key of {}", name,
                                      manifest_.uuid, key_->uuid),
                          name);
  }
  digest_ = digest_of(text);
  files_.resize(manifest_.files.size());
}

// Processes that were forked meanwhile share the lock, and closing would leave it to them; their copies of this do not
// take it away.
OpenCheckpoint::~OpenCheckpoint() {
  if (::getpid() == process_) ::flock(lock_.get(), LOCK_UN);
}

const ShardFile& OpenCheckpoint::file(std::size_t index) {
  const std::lock_guard lock(mutex_);
  if (!files_[index]) files_[index] = std::make_unique<ShardFile>(directory_, manifest_, index, key_);
  return *files_[index];
}

OpenCheckpoint::Grid OpenCheckpoint::chunks_of(const ShardFile& file) {
  return {static_cast<std::int64_t>(file.head_bytes()), file.chunk_bytes(),
          std::max(block_bytes, file.chunk_bytes())};
}

OpenCheckpoint::Grid OpenCheckpoint::grid_of(const ShardFile& file) const {
  constexpr auto segment = stream::segment_plaintext_bytes;
  if (key_) return {-static_cast<std::int64_t>(stream::header_bytes), segment, 4 * segment};
  return chunks_of(file);
}

std::uint64_t OpenCheckpoint::from_disk() const {
  std::uint64_t bytes = 0;
  for (const auto& file : files_) bytes += file ? file->from_disk() : 0;
  return bytes;
}

// Cut at blocks, and joined where they share a unit: none is read twice.
void OpenCheckpoint::add_jobs(const ShardFile& file, const Grid& grid, std::vector<Extract> extracts,
                              std::vector<Job>& jobs) {
  std::ranges::sort(extracts, {}, &Extract::begin);
  bool begun = false;
  for (auto [begin, bytes, to] : extracts) {
    while (bytes > 0) {
      const auto count = std::min(bytes, grid.block_end(begin) - begin);
      if (begun) {
        const auto before = jobs.back().extracts.back().end() - 1;
        begun =
            grid.block_of(before) == grid.block_of(begin) && grid.unit_of(before) + 1 >= grid.unit_of(begin);
      }
      if (!begun) jobs.push_back({&file, {}});
      jobs.back().extracts.push_back({begin, count, to});
      begun = true;
      begin += count;
      bytes -= count;
      if (to) to += count;
    }
  }
}

void OpenCheckpoint::run(std::span<const Job> jobs,
                         const std::function<void(const Job&, Pages&)>& perform) const {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      Pages scratch(block_bytes);
      for (auto i = next++; i < jobs.size(); i = next++) perform(jobs[i], scratch);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      next = jobs.size();
    }
  };
  {
    std::vector<std::jthread> threads;
    try {
      while (threads.size() + 1 < std::min(reader_threads, jobs.size())) threads.emplace_back(work);
    } catch (const std::system_error&) {  // those that there are do it
    }
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

std::uint64_t OpenCheckpoint::read(std::span<const Wanted> wanted,
                                   const std::function<void(std::uint64_t)>& progress) {
  const auto before = from_disk();
  std::vector<Job> jobs;
  for (std::size_t f = 0; f < manifest_.files.size(); ++f) {
    std::vector<Extract> extracts;
    for (const auto& [index, range, to] : wanted) {
      const auto& tensor = manifest_.tensors[index];
      const auto piece = manifest_.piece(tensor, f);
      if (!piece) continue;
      const std::int64_t begin = std::max(range.begin, piece->begin), end = std::min(range.end, piece->end);
      if (begin >= end) continue;
      const auto& from = file(f);
      const auto offset = from.offset_of(Manifest::name_in(manifest_.files[f], tensor));
      extracts.push_back({offset + static_cast<std::uint64_t>(begin - piece->begin),
                          static_cast<std::uint64_t>(end - begin), to + (begin - range.begin)});
    }
    if (!extracts.empty()) add_jobs(file(f), grid_of(file(f)), std::move(extracts), jobs);
  }
  run(jobs, [&](const Job& job, Pages& scratch) {
    job.file->read(job.extracts, scratch);
    if (!progress) return;
    for (const auto& extract : job.extracts) progress(extract.bytes);
  });
  return from_disk() - before;
}

std::vector<Checkpoint::Damage> OpenCheckpoint::verify(std::size_t index,
                                                       const std::function<void(std::uint64_t)>& progress) {
  const auto& all = file(index);
  std::vector<Job> jobs;
  add_jobs(all, chunks_of(all), {{all.head_bytes(), all.bytes() - all.head_bytes(), nullptr}}, jobs);
  const auto& name = manifest_.files[index].name;
  std::mutex mutex;
  std::vector<Checkpoint::Damage> damages;
  // Returns false where there are enough.
  const auto note = [&](Checkpoint::Damage damage) {
    const std::lock_guard lock(mutex);
    if (damages.size() < most_damages) damages.push_back(std::move(damage));
    return damages.size() < most_damages;
  };
  run(jobs, [&](const Job& job, Pages& scratch) {
    for (auto [begin, bytes, to] : job.extracts) {
      for (const auto end = begin + bytes; begin < end;) {
        const Extract rest{begin, end - begin, nullptr};
        begin = end;
        try {
          job.file->read({&rest, 1}, scratch);
        } catch (const DamagedChunk& chunk) {
          if (note({name, chunk.what(), chunk.offset(), chunk.tensor, fmt::format("{:016x}", chunk.expected),
                    fmt::format("{:016x}", chunk.found)}))
            begin = chunk.end;
        } catch (const CheckpointError& error) {
          note({name, error.what(), error.offset(), "", "", ""});
        }
      }
      if (progress) progress(bytes);
    }
  });
  std::ranges::sort(damages, {}, &Checkpoint::Damage::offset);
  return damages;
}

}  // namespace tutti::checkpoint
