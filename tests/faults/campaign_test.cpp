// Every I/O call of a save, with the removal of older checkpoints that is part of it, and of a load meets every fault in
// turn: what was acknowledged stays, and an error says what it was.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "tests/comm/processes.h"
#include "tests/faults/interpose.h"
#include "tests/faults/plain_key.h"
#include "tests/faults/run.h"
#include "tests/support/files.h"
#include "tests/support/ranks.h"
#include "tutti/checkpoint/checkpoint.h"
#include "tutti/checkpoint/upkeep.h"

namespace tutti::test {
namespace {

using test::Processes;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int ranks = 2;

// Of the runs of a test, if it has them encrypted.
std::optional<Encryption> encryption;

using Action = std::function<std::int64_t(SmallRun&)>;

std::int64_t save_second(SmallRun& run) { return run.save(1), 2; }
struct Outcome {
  std::vector<std::string> errors = std::vector<std::string>(ranks);  // "" where there was none
  std::vector<std::int64_t> results = std::vector<std::int64_t>(ranks);
  bool untouched = true;  // the state, where there was an error

  bool failed() const { return !errors[0].empty(); }
};

// What `action` came to on each rank of a world, where call number `at` of both meets `fault`. Only CheckpointErrors are
// caught.
Outcome on_each(const std::string& directory, const Action& action, Fault fault = Fault::none, int at = 0,
                bool lasting = false) {
  Outcome outcome;
  on_ranks(ranks, [&](Communicator& world) {
    SmallRun run(directory, world, 2, encryption);
    const auto rank = static_cast<std::size_t>(world.rank());
    world.barrier();
    if (rank == 0) arm(fault, at, lasting);
    world.barrier();
    try {
      outcome.results[rank] = action(run);
    } catch (const CheckpointError& error) {
      outcome.errors[rank] = error.what();
      if (!run.holds(-1)) outcome.untouched = false;
    }
  });
  disarm();
  EXPECT_EQ(outcome.errors[0].empty(), outcome.errors[1].empty()) << "a failure of one rank is one of all";
  return outcome;
}

std::int64_t restored(const std::string& directory) {
  const auto outcome = on_each(directory, [](SmallRun& run) { return run.restore(); });
  EXPECT_THAT(outcome.errors, Each(IsEmpty()));
  EXPECT_EQ(outcome.results[0], outcome.results[1]);
  return outcome.results[0];
}

void save_first(const std::string& directory) {
  on_each(directory, [](SmallRun& run) { return run.save(0), 1; });
}

// After whatever happened: a run goes on, and nothing is left of what failed.
void goes_on(const std::string& directory) {
  const auto steps = restored(directory);
  const auto next = on_each(directory, [](SmallRun& run) {
    const auto done = run.restore();
    run.save(done);
    return done + 1;
  });
  EXPECT_THAT(next.errors, Each(IsEmpty()));
  EXPECT_EQ(restored(directory), steps + 1);
  EXPECT_THAT(leftovers(directory), IsEmpty());
}

bool all_of_them() {
  const auto* set = std::getenv("TUTTI_FAULTS");
  return set && std::string(set) == "all";
}

struct Strike {
  Fault fault;
  bool lasting = false;  // so does every call after it
  bool encrypted = false;
};

constexpr Strike strikes[] = {
    {Fault::eio},
    {Fault::eio, true},
    {Fault::enospc},
    {Fault::enospc, true},
    {Fault::edquot},
    {Fault::eagain},
    {Fault::eintr},
    {Fault::emfile},
    {Fault::emfile, true},
    {Fault::erofs},
    {Fault::erofs, true},
    {Fault::estale},
    {Fault::estale, true},
    {Fault::half},
    {Fault::half, true},
#ifdef ENCRYPTED_RUNS
    {Fault::eio, false, true},
    {Fault::enospc, true, true},
    {Fault::half, true, true},
#endif
};

std::string name_of(const Strike& strike) {
  return std::string(strike.encrypted ? "encrypted " : "") + (strike.lasting ? "lasting " : "") +
         name_of(strike.fault);
}

int place_of(const Strike& strike) {
  int place = 0;
  while (name_of(strikes[place]) != name_of(strike)) ++place;
  return place;
}

class Campaign : public ::testing::TestWithParam<Strike> {
 protected:
  void SetUp() override {
    if (GetParam().encrypted) encryption = Encryption{{std::make_shared<PlainKey>()}};
  }
  void TearDown() override { encryption.reset(); }
  static void TearDownTestSuite() {
    std::printf(
        "%d runs with a fault: %d ended in an error on every rank, %d as if there was none; lost: %d\n",
        all_runs_, all_errors_, all_runs_ - all_errors_, all_losses_);
  }

  // `action` on ranks, where call number `at` meets the fault.
  static Outcome struck_at(int at, const std::string& directory, const Action& action) {
    return on_each(directory, action, GetParam().fault, at, GetParam().lasting);
  }
  // Attempts it with one call after the other, until there is none left to fail. It returns the call, or "" then.
  void each_call(const std::function<std::string(int)>& attempt) {
    int calls = 0;
    // Each call meets one of the strikes; all of them with TUTTI_FAULTS=all.
    const int stride = all_of_them() ? 1 : static_cast<int>(std::size(strikes));
    const int first = all_of_them() ? 1 : 1 + place_of(GetParam());
    for (int at = first;; at += stride) {
      ASSERT_LT(at, 1000);
      const auto call = attempt(at);
      if (HasFailure()) ++all_losses_;
      if (HasFailure()) FAIL() << name_of(GetParam()) << " at call " << at << ", " << call;
      if (call.empty()) break;
      ++calls;
    }
    all_runs_ += calls;
    all_errors_ += errors_;
    std::printf("%s at %d calls: %d were told as errors, nothing was lost\n", name_of(GetParam()).c_str(),
                calls, errors_);
    EXPECT_GE(calls, 60 / stride);
  }
  void check(const Outcome& outcome) {
    if (!outcome.failed()) return;
    ++errors_;
    EXPECT_THAT(outcome.errors, Each(names_the_cause()));
    EXPECT_TRUE(strikes_as_error()) << outcome.errors[0];
  }

  static ::testing::Matcher<std::string> names_the_cause() {
    const auto reason = HasSubstr(reason_of(GetParam().fault));
    if (GetParam().fault != Fault::eagain) return reason;
    // Where a lock cannot be had for now, somebody else has it.
    return AnyOf(reason, HasSubstr("one at a time"), HasSubstr("is being removed"));
  }

  // Transfers in part, and calls that a signal cut short, go on.
  static bool strikes_as_error() {
    return GetParam().fault != Fault::half && GetParam().fault != Fault::eintr;
  }

  int errors_ = 0;
  inline static int all_runs_ = 0, all_errors_ = 0, all_losses_ = 0;
};

TEST_P(Campaign, Fault48To54_62_ASaveLosesNothing) {
  each_call([&](int at) {
    const TemporaryDirectory directory;
    const auto run = directory / "run";
    save_first(run);
    const auto saved = struck_at(at, run, save_second);
    const auto call = struck();
    check(saved);
    // Here there is nothing to remove, whose failures are warnings only.
    const bool matters =
        call == "pwrite" || call == "fsync" || call == "ftruncate" || call == "mkdirat" || call == "renameat";
    EXPECT_TRUE(saved.failed() || !matters || !strikes_as_error()) << call;
    const auto steps = restored(run);
    EXPECT_THAT(steps, saved.failed() ? AnyOf(1, 2) : AnyOf(2, 2));
    goes_on(run);
    return call;
  });
}

// By retention, when the third is saved where two are kept.
TEST_P(Campaign, Fault48To54_62_ARemovalLosesNothing) {
  const TemporaryDirectory directory;
  const auto run = directory / "run";
  save_first(run);
  on_each(run, save_second);
  std::int64_t steps = 2;
  each_call([&](int at) {
    const auto saved = struck_at(at, run, [&](SmallRun& small) {
      small.save(steps);
      small.drain();
      return 0;
    });
    const auto call = struck();
    check(saved);
    const auto now = restored(run);
    EXPECT_THAT(now, saved.failed() ? AnyOf(steps, steps + 1) : AnyOf(steps + 1, steps + 1));
    goes_on(run);
    steps = restored(run);
    return call;
  });
}

TEST_P(Campaign, Fault52To54_62_ALoadIsOfAWholeCheckpointOrAnError) {
  const TemporaryDirectory directory;
  const auto run = directory / "run";
  save_first(run);
  on_each(run, save_second);
  each_call([&](int at) {
    std::mutex mutex;
    std::vector<std::string> reasons;
    const auto loaded = struck_at(at, run, [&](SmallRun& small) {
      const auto steps = small.restore();
      const std::lock_guard lock(mutex);
      for (const auto& one : small.restored().passed_over) reasons.push_back(one.reason);
      return steps;
    });
    const auto call = struck();
    check(loaded);
    if (loaded.failed()) {
      EXPECT_TRUE(loaded.untouched);
    } else {
      const bool passed_over = !reasons.empty();
      EXPECT_THAT(loaded.results, Each(passed_over ? 1 : 2))
          << "the newest, or the one before, and then it is told why";
      EXPECT_THAT(reasons, Each(names_the_cause()));
    }
    EXPECT_EQ(restored(run), 2);
    return call;
  });
}

TEST_P(Campaign, Fault48To54_62_APruneLosesNothing) {
  const TemporaryDirectory directory;
  const auto run = directory / "run";
  const checkpoint::PruneOptions options{.keep = 1, .keys = encryption};
  const auto save_next = [&] {
    on_each(run, [](SmallRun& small) {
      const auto steps = small.restore();
      small.save(steps);
      return steps + 1;
    });
  };
  std::int64_t steps = 1;
  save_first(run);
  each_call([&](int at) {
    save_next();
    ++steps;
    Outcome pruned;
    arm(GetParam().fault, at, GetParam().lasting);
    try {
      checkpoint::prune(run, options);
    } catch (const CheckpointError& error) {
      std::ranges::fill(pruned.errors, error.what());
    }
    disarm();
    const auto call = struck();
    check(pruned);
    EXPECT_EQ(restored(run), steps);
    checkpoint::prune(run, options);
    EXPECT_THAT(Checkpoint::list(run), ::testing::SizeIs(1));
    EXPECT_THAT(leftovers(run), IsEmpty());
    return call;
  });
}

INSTANTIATE_TEST_SUITE_P(, Campaign, ::testing::ValuesIn(strikes), [](const auto& info) {
  auto name = info.param.fault == Fault::half ? "half" : std::string(name_of(info.param.fault));
  return (info.param.encrypted ? "encrypted_" : "") + (info.param.lasting ? "lasting_" + name : name);
});

// Also where it takes the name that the next save needs, and that save fails.
TEST(Replacement, Fault58_ADamagedOneIsKeptWhateverFails) {
  std::string call;
  for (int at = 1; at == 1 || !call.empty(); ++at) {
    const TemporaryDirectory directory;
    const auto run = directory / "run";
    save_first(run);
    on_each(run, save_second);
    write_file(run + "/step-0000000002/manifest.json", "damaged");
    on_ranks(ranks, [&](Communicator& world) {
      const bool first = world.rank() == 0;
      SmallRun small(run, world, 2);
      EXPECT_EQ(small.restore(), 1);
      world.barrier();
      if (first) arm(Fault::eio, at);
      world.barrier();
      try {
        small.save(1);
        small.drain();
      } catch (const CheckpointError&) {
      }
      world.barrier();
      if (first) disarm(), call = struck();
      world.barrier();
      small.save(2);
      small.drain();
    });
    EXPECT_EQ(restored(run), 3);
    bool kept = false;
    for (const auto& entry : std::filesystem::directory_iterator(run))
      kept = kept || read_file(entry.path() / "manifest.json") == "damaged";
    EXPECT_TRUE(kept);
    if (HasFailure()) FAIL() << "at call " << at << ", " << call;
  }
}

// For a moment the one that is replaced has another name then.
TEST(Replacement, Fault50_NothingIsLostWhereNamesCannotBeExchanged) {
  set_exchange(false);
  std::string call;
  for (int at = 1; at == 1 || !call.empty(); ++at) {
    const TemporaryDirectory directory;
    const auto run = directory / "run";
    save_first(run);
    on_each(
        run, [](SmallRun& small) { return small.save(0), 1; }, Fault::eio, at);
    call = struck();
    EXPECT_EQ(restored(run), 1);
    goes_on(run);
    if (HasFailure()) FAIL() << "at call " << at << ", " << call;
  }
  set_exchange(true);
}

// Where the sync after a commit fails, the old one or the new one of the step may be there after a power cut: neither goes.
TEST(Replacement, Fault50_WhatASyncLeavesInDoubtStays) {
  int in_doubt = 0;
  std::string call;
  for (int at = 1; at == 1 || !call.empty(); ++at) {
    const TemporaryDirectory directory;
    const auto run = directory / "run", manifest = run + "/step-0000000001/manifest.json";
    save_first(run);
    const auto before = read_file(manifest);
    const auto saved = on_each(
        run, [](SmallRun& small) { return small.save(0), 1; }, Fault::eio, at);
    call = struck();
    if (saved.failed() && read_file(manifest) != before) {
      ++in_doubt;
      EXPECT_EQ(call, "fsync");
      const auto left = leftovers(run);
      ASSERT_EQ(left.size(), 1u);
      EXPECT_EQ(read_file(run + "/" + left[0] + "/manifest.json"), before);
      goes_on(run);
    }
    if (HasFailure()) FAIL() << "at call " << at << ", " << call;
  }
  EXPECT_EQ(in_doubt, 1);
}

// Both ranks are threads of a process that dies.
TEST(Death, Fault56_OfTheProcessAtAnyCallLosesNothing) {
  int acknowledged = 0, at = 1;
  for (bool died = true; died; ++at) {
    SCOPED_TRACE(at);
    const TemporaryDirectory directory;
    const auto run = directory / "run";
    save_first(run);
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      on_each(
          run, [&](SmallRun& small) { return small.save(1), ::write(pipe[1], "a", 1); }, Fault::kill, at);
      ::_exit(0);
    }
    ::close(pipe[1]);
    char byte = 0;
    const bool told = ::read(pipe[0], &byte, 1) == 1;
    ::close(pipe[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    died = WIFSIGNALED(status);
    acknowledged += told;
    EXPECT_THAT(restored(run), told ? AnyOf(2, 2) : AnyOf(1, 2));
    goes_on(run);
    if (HasFailure()) FAIL();
  }
  std::printf("killed at each of %d calls: %d saves were acknowledged, none lost\n", at - 2, acknowledged);
}

// Ranks are processes, of which one dies.
TEST(Death, Fault56_68_69_OfOneRankAtAnyCallIsToldAndLosesNothing) {
  for (int victim = 0; victim < ranks; ++victim) {
    int deaths = 0;
    for (int at = 1;; at += all_of_them() ? 1 : 5) {
      SCOPED_TRACE(::testing::Message() << "rank " << victim << ", call " << at);
      const TemporaryDirectory directory;
      const auto run = directory / "run";
      save_first(run);
      Processes processes(ranks, [&](Communicator& world) -> std::string {
        world.set_timeout(std::chrono::seconds(20));
        SmallRun small(run, world, 2);
        world.barrier();
        if (world.rank() == victim) arm(Fault::kill, at);
        small.save(1);
        return "acknowledged";
      });
      const auto survivor = processes.report(1 - victim);
      const bool died = processes.report(victim).empty();
      EXPECT_THAT(survivor, AnyOf("acknowledged", HasSubstr("CommError"), HasSubstr("CheckpointError")));
      EXPECT_THAT(restored(run), survivor == "acknowledged" ? AnyOf(2, 2) : AnyOf(1, 2));
      goes_on(run);
      if (HasFailure()) FAIL() << survivor;
      if (!died) break;
      ++deaths;
    }
    std::printf("rank %d killed at %d calls: the other one was told, nothing was lost\n", victim, deaths);
    EXPECT_GT(deaths, 3);
  }
}

}  // namespace
}  // namespace tutti::test
