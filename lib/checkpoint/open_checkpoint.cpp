#include "checkpoint/open_checkpoint.h"

#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <thread>

#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

constexpr std::size_t most_manifest_bytes = std::size_t{1} << 30;
unsigned reader_threads() { return std::clamp(std::thread::hardware_concurrency(), 1U, 4U); }

}  // namespace

OpenCheckpoint::OpenCheckpoint(Directory directory, DataKeyPointer key)
    : directory_(std::move(directory)),
      key_(std::move(key)),
      lock_(directory_.open_to_read(name_on_disk(manifest_name, key_.get()))) {
  const auto name = directory_.path(name_on_disk(manifest_name, key_.get()));
  // Where a file system has no locks, one that retention takes away is damaged, to those who read it.
  if (::flock(lock_.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
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

const ShardFile& OpenCheckpoint::file(std::size_t index) {
  const std::lock_guard lock(mutex_);
  if (!files_[index]) files_[index] = std::make_unique<ShardFile>(directory_, manifest_, index, key_);
  return *files_[index];
}

// Of what is encrypted, whole segments are read, and those at both ends of a block twice.
std::uint64_t OpenCheckpoint::block() const { return (key_ ? 16 : 4) << 20; }

std::uint64_t OpenCheckpoint::from_disk() const {
  std::uint64_t bytes = 0;
  for (const auto& file : files_) bytes += file ? file->from_disk() : 0;
  return bytes;
}

// Cut where chunks are, so that none is read twice.
void OpenCheckpoint::cut(std::size_t index, const ShardFile& file, std::uint64_t begin, std::uint64_t bytes,
                         std::byte* to, std::vector<Job>& jobs) const {
  const auto step = std::max(block(), file.chunk_bytes());
  while (bytes > 0) {
    const auto at = begin - file.head_bytes();
    const auto count = std::min(bytes, (at / step + 1) * step - at);
    jobs.push_back({index, &file, begin, count, to});
    begin += count;
    bytes -= count;
    if (to) to += count;
  }
}

void OpenCheckpoint::run(std::vector<Job> jobs, const std::function<void(std::uint64_t)>& progress) const {
  std::ranges::sort(jobs, {}, [](const Job& job) { return std::pair(job.index, job.begin); });
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      Pages scratch(block());
      for (auto i = next++; i < jobs.size(); i = next++) {
        jobs[i].file->read(jobs[i].begin, jobs[i].bytes, jobs[i].to, scratch);
        if (progress) progress(jobs[i].bytes);
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      next = jobs.size();
    }
  };
  {
    std::vector<std::jthread> threads;
    while (threads.size() + 1 < std::min<std::size_t>(reader_threads(), jobs.size()))
      threads.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

std::uint64_t OpenCheckpoint::read(std::span<const Wanted> wanted,
                                   const std::function<void(std::uint64_t)>& progress) {
  const auto before = from_disk();
  std::vector<Job> jobs;
  for (std::size_t f = 0; f < manifest_.files.size(); ++f) {
    for (const auto& [index, range, to] : wanted) {
      const auto& tensor = manifest_.tensors[index];
      const auto piece = manifest_.piece(tensor, f);
      if (!piece) continue;
      const std::int64_t begin = std::max(range.begin, piece->begin), end = std::min(range.end, piece->end);
      if (begin >= end) continue;
      const auto& from = file(f);
      const auto offset = from.offset_of(Manifest::name_in(manifest_.files[f], tensor));
      cut(f, from, offset + static_cast<std::uint64_t>(begin - piece->begin),
          static_cast<std::uint64_t>(end - begin), to + (begin - range.begin), jobs);
    }
  }
  run(std::move(jobs), progress);
  return from_disk() - before;
}

void OpenCheckpoint::verify(std::size_t index, const std::function<void(std::uint64_t)>& progress) {
  const auto& all = file(index);
  std::vector<Job> jobs;
  cut(index, all, all.head_bytes(), all.bytes() - all.head_bytes(), nullptr, jobs);
  run(std::move(jobs), progress);
}

}  // namespace tutti::checkpoint
