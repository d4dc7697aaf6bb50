#include "comm/launcher.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string_view>

#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

[[noreturn]] void refuse(std::string_view name, std::string_view value, std::string_view rule) {
  throw ConfigError(fmt::format("World: {}={}: {}", name, value, rule));
}

class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  bool has(const char* name) const { return environment_(name) != nullptr; }

  std::string_view text(const char* name) const {
    const char* value = environment_(name);
    return value ? value : "";
  }

  int integer(const char* name, int low, int high) const {
    const auto value = text(name);
    int result = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (error != std::errc() || end != value.data() + value.size() || result < low || result > high) {
      refuse(name, value, fmt::format("must be an integer from {} to {}", low, high));
    }
    return result;
  }

  // Rank and size of a launcher that tells both, or the error that says which one is missing.
  void place(const char* rank_name, const char* size_name, int& rank, int& size) const {
    for (const auto& [given, missing] : {std::pair(rank_name, size_name), std::pair(size_name, rank_name)}) {
      if (has(given) && !has(missing)) refuse(given, text(given), fmt::format("{} must be set too", missing));
    }
    if (!has(size_name)) return;
    size = integer(size_name, 1, 1 << 20);
    rank = integer(rank_name, 0, size - 1);
  }

 private:
  const Environment& environment_;
};

void read_tutti_run(const Reader& reader, Launch& launch) {
  launch.launcher = "tutti-run";
  launch.backend = "shm";
  reader.place("TUTTI_RANK", "TUTTI_WORLD_SIZE", launch.rank, launch.size);
  launch.job = reader.text("TUTTI_JOB");
  if (launch.job.empty()) refuse("TUTTI_RANK", reader.text("TUTTI_RANK"), "TUTTI_JOB must be set too");
  launch.local_rank = launch.rank;
  launch.local_size = launch.size;
  reader.place("TUTTI_LOCAL_RANK", "TUTTI_LOCAL_SIZE", launch.local_rank, launch.local_size);
}

// Open MPI, then MPICH and its relatives, then whatever else speaks PMIx.
void read_mpirun(const Reader& reader, Launch& launch) {
  launch.launcher = "mpirun";
  launch.backend = "mpi";
  launch.size = 0;
  reader.place("PMI_RANK", "PMI_SIZE", launch.rank, launch.size);
  reader.place("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", launch.rank, launch.size);
  reader.place("MPI_LOCALRANKID", "MPI_LOCALNRANKS", launch.local_rank, launch.local_size);
  reader.place("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", launch.local_rank,
               launch.local_size);
  for (const char* name : {"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID"}) {
    if (launch.job.empty()) launch.job = reader.text(name);
  }
}

void choose_backend(std::string_view backend, Launch& launch) {
  const auto refuse_it = [&](std::string_view rule) { refuse("TUTTI_BACKEND", backend, rule); };
  if (backend == "threads") refuse_it("ranks that are threads are made by World::threads(n)");
  if (backend == "nccl") {
    launch.gpus = true;
    return;
  }
  if (backend != "self" && backend != "shm" && backend != "mpi") refuse_it("must be self, shm, mpi or nccl");
  if (backend == "shm") {
    if (launch.launcher.empty()) refuse_it("needs ranks started by tutti-run or mpirun");
    if (launch.job.empty() || launch.size == 0) refuse_it("this launcher does not tell the job and its size");
    if (launch.local_size != launch.size) {
      refuse_it(fmt::format("needs all ranks on one machine, and of {} only {} are on this one", launch.size,
                            launch.local_size));
    }
  }
  if (backend == "self")
    launch = {launch.launcher, "", false, 0, 1, 0, 1, launch.job, launch.timeout, launch.logical_ranks};
  launch.backend = backend;
}

std::chrono::milliseconds read_timeout(std::string_view value) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error != std::errc() || end != value.data() + value.size() || !(seconds >= 0.001 && seconds <= 1e9)) {
    refuse("TUTTI_TIMEOUT", value, "must be a number of seconds, from 0.001 to 1e9");
  }
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

}  // namespace

int find_ranks_sharing_memory(const Environment& environment) {
  const Reader reader(environment);
  constexpr const char* name = "TUTTI_MPI_SHARED_MEMORY";
  constexpr int most = Launch::most_ranks_sharing_memory;
  return reader.has(name) ? reader.integer(name, 0, most) : most;
}

std::optional<std::chrono::milliseconds> find_timeout(const Environment& environment) {
  const Reader reader(environment);
  constexpr const char* name = "TUTTI_TIMEOUT";
  return reader.has(name) ? std::optional(read_timeout(reader.text(name))) : std::nullopt;
}

Launch find_launch(const Environment& environment, bool mpi_running) {
  const Reader reader(environment);
  Launch launch;
  launch.backend = "self";
  if (reader.has("TUTTI_RANK") || reader.has("TUTTI_WORLD_SIZE")) {
    read_tutti_run(reader, launch);
    if (launch.size == 1) launch.backend = "self";
  } else if (reader.has("OMPI_COMM_WORLD_RANK") || reader.has("OMPI_COMM_WORLD_SIZE") ||
             reader.has("PMI_RANK") || reader.has("PMI_SIZE") || reader.has("PMIX_RANK")) {
    read_mpirun(reader, launch);
  } else if (mpi_running) {
    launch.backend = "mpi";
    launch.size = 0;
  }
  launch.timeout = find_timeout(environment);
  if (reader.has("TUTTI_LOGICAL_RANKS")) {
    launch.logical_ranks = reader.integer("TUTTI_LOGICAL_RANKS", 1, 1 << 20);
  }
  launch.ranks_sharing_memory = find_ranks_sharing_memory(environment);
  if (reader.has("TUTTI_BACKEND")) choose_backend(reader.text("TUTTI_BACKEND"), launch);
  return launch;
}

}  // namespace tutti::comm
