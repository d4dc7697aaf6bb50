#include "lib/comm/launcher.h"

#include <gmock/gmock.h>

#include <map>
#include <string>

#include "tutti/core/error.h"

namespace {

using namespace tutti;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

comm::Launch find(const Variables& variables, bool mpi_running = false) {
  return comm::find_launch(
      [&](const char* name) {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : found->second.c_str();
      },
      mpi_running);
}

Variables with(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}

const Variables of_tutti_run{{"TUTTI_RANK", "2"},
                             {"TUTTI_WORLD_SIZE", "4"},
                             {"TUTTI_LOCAL_RANK", "2"},
                             {"TUTTI_LOCAL_SIZE", "4"},
                             {"TUTTI_JOB", "job"}};
const Variables open_mpi{{"OMPI_COMM_WORLD_RANK", "3"},
                         {"OMPI_COMM_WORLD_SIZE", "8"},
                         {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                         {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                         {"PMIX_NAMESPACE", "space"}};

TEST(Launcher, FindsALoneProcess) {
  const auto launch = find({});
  EXPECT_EQ(launch.backend, "self");
  EXPECT_EQ(launch.size, 1);
  EXPECT_FALSE(launch.timeout);
}

TEST(Launcher, FindsTuttiRun) {
  const auto launch = find(of_tutti_run);
  EXPECT_EQ(launch.launcher, "tutti-run");
  EXPECT_EQ(launch.backend, "shm");
  EXPECT_EQ(launch.rank, 2);
  EXPECT_EQ(launch.size, 4);
  EXPECT_EQ(launch.local_rank, 2);
  EXPECT_EQ(launch.local_size, 4);
  EXPECT_EQ(launch.job, "job");
}

TEST(Launcher, NeedsNoSharedMemoryForOneRank) {
  const Variables one{{"TUTTI_RANK", "0"}, {"TUTTI_WORLD_SIZE", "1"}, {"TUTTI_JOB", "job"}};
  EXPECT_EQ(find(one).backend, "self");
  EXPECT_EQ(find(with(one, {{"TUTTI_BACKEND", "shm"}})).backend, "shm");
}

TEST(Launcher, FindsMpirun) {
  const auto launch = find(open_mpi);
  EXPECT_EQ(launch.launcher, "mpirun");
  EXPECT_EQ(launch.backend, "mpi");
  EXPECT_EQ(launch.rank, 3);
  EXPECT_EQ(launch.size, 8);
  EXPECT_EQ(launch.local_rank, 1);
  EXPECT_EQ(launch.local_size, 2);
  const auto mpich = find({{"PMI_RANK", "1"}, {"PMI_SIZE", "3"}});
  EXPECT_EQ(mpich.backend, "mpi");
  EXPECT_EQ(mpich.size, 3);
  EXPECT_EQ(find({{"PMIX_RANK", "1"}}).backend, "mpi");
}

TEST(Launcher, FindsTheApplicationsOwnMpi) {
  EXPECT_EQ(find({}, true).backend, "mpi");
  EXPECT_EQ(find(of_tutti_run, true).backend, "shm");
}

TEST(Launcher, LetsTheUserChoose) {
  const auto self = find(with(of_tutti_run, {{"TUTTI_BACKEND", "self"}}));
  EXPECT_EQ(self.backend, "self");
  EXPECT_EQ(self.size, 1);
  EXPECT_EQ(find(with(of_tutti_run, {{"TUTTI_BACKEND", "mpi"}})).backend, "mpi");
  EXPECT_EQ(find({{"TUTTI_BACKEND", "mpi"}}).backend, "mpi");
  const auto shm = find(with(open_mpi, {{"TUTTI_BACKEND", "shm"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "8"}}));
  EXPECT_EQ(shm.backend, "shm");
  EXPECT_EQ(shm.job, "space");
}

TEST(Launcher, ReadsTheDeadlineInSeconds) {
  EXPECT_EQ(find({{"TUTTI_TIMEOUT", "30"}}).timeout, 30s);
  EXPECT_EQ(find({{"TUTTI_TIMEOUT", "0.25"}}).timeout, 250ms);
}

TEST(Launcher, ReadsHowManyRanksOfMpiShareMemory) {
  EXPECT_EQ(find(open_mpi).ranks_sharing_memory, comm::Launch::most_ranks_sharing_memory);
  EXPECT_EQ(find(with(open_mpi, {{"TUTTI_MPI_SHARED_MEMORY", "0"}})).ranks_sharing_memory, 0);
  EXPECT_EQ(find(with(open_mpi, {{"TUTTI_MPI_SHARED_MEMORY", "2"}})).ranks_sharing_memory, 2);
}

TEST(Launcher, ReadsTheLogicalRanks) {
  EXPECT_EQ(find(of_tutti_run).logical_ranks, 0);
  const auto eight = with(of_tutti_run, {{"TUTTI_LOGICAL_RANKS", "8"}});
  EXPECT_EQ(find(eight).logical_ranks, 8);
  EXPECT_EQ(find(with(eight, {{"TUTTI_BACKEND", "self"}})).logical_ranks, 8);
  EXPECT_EQ(find(with(open_mpi, {{"TUTTI_LOGICAL_RANKS", "64"}})).logical_ranks, 64);
}

struct Refused {
  Variables variables;
  std::string message;
};

TEST(Launcher, KeepsTheBackEndUnderNccl) {
  const auto launch = find(with(of_tutti_run, {{"TUTTI_BACKEND", "nccl"}}));
  EXPECT_TRUE(launch.gpus);
  EXPECT_EQ(launch.backend, "shm");
  EXPECT_EQ(launch.rank, 2);
  EXPECT_EQ(find(with(open_mpi, {{"TUTTI_BACKEND", "nccl"}})).backend, "mpi");
  EXPECT_FALSE(find(of_tutti_run).gpus);
}

TEST(Launcher, NamesTheVariableAndItsValue) {
  Variables no_job = of_tutti_run;
  no_job.erase("TUTTI_JOB");
  const Refused cases[] = {
      {{{"TUTTI_RANK", "1"}}, "TUTTI_RANK=1: TUTTI_WORLD_SIZE must be set too"},
      {{{"TUTTI_WORLD_SIZE", "2"}}, "TUTTI_WORLD_SIZE=2: TUTTI_RANK must be set too"},
      {no_job, "TUTTI_RANK=2: TUTTI_JOB must be set too"},
      {with(of_tutti_run, {{"TUTTI_RANK", "4"}}), "TUTTI_RANK=4: must be an integer from 0 to 3"},
      {with(of_tutti_run, {{"TUTTI_RANK", "-1"}}), "TUTTI_RANK=-1: must be"},
      {with(of_tutti_run, {{"TUTTI_RANK", ""}}), "TUTTI_RANK=: must be"},
      {with(of_tutti_run, {{"TUTTI_WORLD_SIZE", "4x"}}), "TUTTI_WORLD_SIZE=4x: must be an integer from 1"},
      {with(of_tutti_run, {{"TUTTI_WORLD_SIZE", "0"}}), "TUTTI_WORLD_SIZE=0: must be an integer from 1"},
      {with(of_tutti_run, {{"TUTTI_LOCAL_RANK", "9"}}), "TUTTI_LOCAL_RANK=9"},
      {{{"OMPI_COMM_WORLD_RANK", "1"}}, "OMPI_COMM_WORLD_RANK=1: OMPI_COMM_WORLD_SIZE must be set too"},
      {{{"TUTTI_BACKEND", "gloo"}}, "TUTTI_BACKEND=gloo: must be self, shm, mpi or nccl"},
      {{{"TUTTI_BACKEND", "threads"}},
       "TUTTI_BACKEND=threads: ranks that are threads are made by World::threads"},
      {{{"TUTTI_BACKEND", "shm"}}, "TUTTI_BACKEND=shm: needs ranks started by tutti-run or mpirun"},
      {with(open_mpi, {{"TUTTI_BACKEND", "shm"}}),
       "TUTTI_BACKEND=shm: needs all ranks on one machine, and of 8 only 2"},
      {{{"TUTTI_MPI_SHARED_MEMORY", "off"}},
       "TUTTI_MPI_SHARED_MEMORY=off: must be an integer from 0 to 1024"},
      {{{"TUTTI_LOGICAL_RANKS", "0"}}, "TUTTI_LOGICAL_RANKS=0: must be an integer from 1 to 1048576"},
      {{{"TUTTI_LOGICAL_RANKS", "eight"}}, "TUTTI_LOGICAL_RANKS=eight: must be an integer"},
      {{{"TUTTI_LOGICAL_RANKS", "8.5"}}, "TUTTI_LOGICAL_RANKS=8.5: must be an integer"},
      {{{"TUTTI_TIMEOUT", "soon"}}, "TUTTI_TIMEOUT=soon: must be a number of seconds"},
      {{{"TUTTI_TIMEOUT", "0"}}, "TUTTI_TIMEOUT=0: must be"},
      {{{"TUTTI_TIMEOUT", "nan"}}, "TUTTI_TIMEOUT=nan: must be"},
      {{{"TUTTI_TIMEOUT", "-3"}}, "TUTTI_TIMEOUT=-3: must be"},
  };
  for (const auto& [variables, message] : cases) {
    try {
      find(variables);
      ADD_FAILURE() << "accepted, instead of: " << message;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
    }
  }
}

}  // namespace
