// Every allocation of a save and of a load fails in turn, once, and for ever from there on: an error on every rank, at once, and
// nothing is lost. Each time in a process of its own: the JSON library allocates in destructors, which ends a process.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <typeinfo>

#include "tests/faults/allocations.h"
#include "tests/faults/plain_key.h"
#include "tests/faults/run.h"
#include "tests/support/files.h"
#include "tests/support/ranks.h"
#include "tutti/core/logging.h"

namespace tutti::test {
namespace {

using ::testing::AnyOf;
using ::testing::Each;
using ::testing::IsEmpty;

constexpr int ranks = 2;

// Of the runs of a test, if it has them encrypted.
std::optional<Encryption> encryption;

struct Attempt {
  std::vector<std::string> errors = std::vector<std::string>(ranks);  // "" where there was none
  std::vector<std::int64_t> results = std::vector<std::int64_t>(ranks);
  bool out_of_memory = false;  // some allocation failed
};

// What `action` comes to on each rank of a run that holds `value`, where allocation number `at` of both fails; none for 0.  Only CheckpointErrors are caught, and those of ranks that gave up.
Attempt attempt(const std::string& directory, double value,
                const std::function<std::int64_t(SmallRun&)>& action, int at = 0, bool lasting = false,
                bool opened = true) {
  Attempt outcome;
  std::barrier together(ranks);  // the communicator may be broken afterwards
  on_ranks(ranks, [&](Communicator& world) {
    world.set_timeout(std::chrono::seconds(20));
    SmallRun run(directory, world, 2, encryption);
    if (opened) run.open();
    run.fill(value);
    const auto rank = static_cast<std::size_t>(world.rank());
    together.arrive_and_wait();
    if (rank == 0 && at > 0) arm_allocations(at, lasting);
    together.arrive_and_wait();
    std::exception_ptr thrown;
    try {
      outcome.results[rank] = action(run);
    } catch (...) {
      thrown = std::current_exception();
    }
    together.arrive_and_wait();
    if (rank == 0 && at > 0) outcome.out_of_memory = disarm_allocations() >= at;
    together.arrive_and_wait();
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const TimeoutError& error) {
      ADD_FAILURE() << "a rank waited in vain: " << error.what();
    } catch (const CommError& error) {
      outcome.errors[rank] = error.what();
    } catch (const CheckpointError& error) {
      outcome.errors[rank] = error.what();
    } catch (const std::exception& error) {
      ADD_FAILURE() << "rank " << rank << " threw " << typeid(error).name() << ": " << error.what();
    }
  });
  return outcome;
}

bool all_of_them() {
  const auto* set = std::getenv("TUTTI_FAULTS");
  return set && std::string(set) == "all";
}

enum Code { success = 40, an_error, all_done, a_failure };

// What an attempt comes to, or the number of the signal that ended it.
int in_a_process(const std::function<Attempt()>& action) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60 * TEST_SLOWDOWN);
    std::set_terminate([] { std::abort(); });  // which says nothing
    const auto outcome = action();
    for (std::size_t i = 1; i < outcome.errors.size(); ++i)
      EXPECT_EQ(outcome.errors[0].empty(), outcome.errors[i].empty())
          << outcome.errors[0] << outcome.errors[i];
    std::fflush(nullptr);
    ::_exit(::testing::Test::HasFailure() ? a_failure
            : !outcome.out_of_memory      ? all_done
            : outcome.errors[0].empty()   ? success
                                          : an_error);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
}

struct Failing {
  bool lasting = false, encrypted = false;
};

class NoMemory : public ::testing::TestWithParam<Failing> {
 protected:
  void SetUp() override {
    sink_ = logging::set_sink([](logging::Level, std::string_view) {});
    if (GetParam().encrypted) encryption = Encryption{{std::make_shared<PlainKey>()}};
  }
  void TearDown() override {
    encryption.reset();
    logging::set_sink(sink_);
  }

  // Attempts it with one allocation after the other, until there is none left to fail. `check` is told whether that was an
  // error.
  void each_allocation(const std::function<Attempt(int)>& one, const std::function<void(bool)>& check) {
    int count = 0, errors = 0, ended = 0;
    const auto fails_at = [&](int at) {
      if (HasFailure()) return false;
      const int code = in_a_process([&] { return one(at); });
      if (code == all_done) return false;
      ++count;
      ended += code == SIGABRT;
      errors += code == an_error;
      EXPECT_TRUE(code == success || code == an_error || code == SIGABRT) << code;
      check(code != success);
      EXPECT_FALSE(HasFailure()) << "allocation " << at;
      return true;
    };
    const int step = all_of_them() ? 1 : 23;
    int at = 1;
    while (fails_at(at)) at += step;
    // What comes last comes when one rank may think that all is well.
    for (int i = at - step + 1; i < at; ++i) fails_at(i);
    std::printf("%d allocations failed%s: %d errors, %d ends of the process, nothing was lost\n", count,
                GetParam().lasting ? ", and all after them" : "", errors, ended);
    EXPECT_GT(count, 3);
    EXPECT_GT(errors, count / 4);
  }

 private:
  logging::Sink sink_;
};

std::int64_t restored(const std::string& directory) {
  const auto outcome = attempt(directory, -1, [](SmallRun& run) { return run.restore(); });
  EXPECT_THAT(outcome.errors, Each(IsEmpty()));
  return outcome.results[0];
}

Attempt save(const std::string& directory, std::int64_t steps, int at = 0, bool lasting = false) {
  return attempt(
      directory, static_cast<double>(steps), [&](SmallRun& run) { return run.save_as_filled(steps - 1), 0; },
      at, lasting);
}

TEST_P(NoMemory, Fault55_ASaveLosesNothing) {
  const TemporaryDirectory directory;
  const auto run = directory / "run";
  save(run, 1);
  std::int64_t steps = 1;
  each_allocation([&](int at) { return save(run, steps + 1, at, GetParam().lasting); },
                  [&](bool failed) {
                    const auto now = restored(run);
                    EXPECT_THAT(now, failed ? AnyOf(steps, steps + 1) : AnyOf(steps + 1, steps + 1));
                    steps = now;
                  });
  EXPECT_THAT(save(run, steps + 1).errors, Each(IsEmpty()));
  EXPECT_THAT(leftovers(run), IsEmpty());
}

TEST_P(NoMemory, Fault55_ALoadIsOfAWholeCheckpointOrAnError) {
  const TemporaryDirectory directory;
  const auto run = directory / "run";
  save(run, 1);
  save(run, 2);
  each_allocation(
      [&](int at) {
        auto loaded = attempt(
            run, -1, [](SmallRun& small) { return small.load(); }, at, GetParam().lasting);
        EXPECT_THAT(loaded.results, Each(loaded.errors[0].empty() ? 2 : 0))
            << "no older one: it is not damaged";
        return loaded;
      },
      [](bool) {});
  EXPECT_EQ(restored(run), 2);
}

TEST_P(NoMemory, Fault55_ARunIsOpenOnEveryRankOrOnNone) {
  const TemporaryDirectory directory;
  const auto run = directory / "run";
  save(run, 1);
  each_allocation(
      [&](int at) {
        return attempt(
            run, -1, [](SmallRun& small) { return small.open(), 0; }, at, GetParam().lasting, false);
      },
      [](bool) {});
  EXPECT_EQ(restored(run), 1);
}

constexpr auto name_of = [](const ::testing::TestParamInfo<Failing>& info) {
  return std::string(info.param.lasting ? "ForEver" : "Once");
};

INSTANTIATE_TEST_SUITE_P(, NoMemory, ::testing::Values(Failing{}, Failing{.lasting = true}), name_of);
#ifdef ENCRYPTED_RUNS
INSTANTIATE_TEST_SUITE_P(Encrypted, NoMemory,
                         ::testing::Values(Failing{.encrypted = true},
                                           Failing{.lasting = true, .encrypted = true}),
                         name_of);
#endif

}  // namespace
}  // namespace tutti::test
