// Every collective with everything that the last rank can do wrong in it. Each case has a group of its own, and each of the
// other ranks prints what it was told: "size all_reduce 0: CommError for 3".
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tutti/comm/world.h"
#include "tutti/core/error.h"

namespace {

using namespace tutti;
using namespace std::chrono_literals;

constexpr std::string_view collectives[] = {"all_reduce", "reduce_scatter", "all_gather",
                                            "broadcast",  "all_to_all",     "gather",
                                            "scatter",    "barrier",        "message"};
constexpr std::string_view faults[] = {"absent", "other", "size",  "dtype", "op",
                                       "order",  "root",  "throw", "stop"};

bool applies(std::string_view fault, std::string_view collective) {
  const bool reduces = collective == "all_reduce" || collective == "reduce_scatter";
  const bool rooted = collective == "broadcast" || collective == "gather" || collective == "scatter";
  if (fault == "op" || fault == "order") return reduces;
  if (fault == "root") return rooted;
  if (fault == "size" || fault == "dtype") return collective != "barrier";
  return fault != "other" || collective != "message";
}

template <typename T>
void call(Communicator& comm, std::string_view collective, std::string_view fault, std::size_t count) {
  const auto ranks = static_cast<std::size_t>(comm.size());
  const auto op = fault == "op" ? ReduceOp::max : ReduceOp::sum;
  const int root = fault == "root" ? 1 : 0;
  const comm::Options options{.order = fault == "order" ? ReduceOrder::any : ReduceOrder::tree};
  std::vector<T> one(count), other(count), many(count * ranks), more(count * ranks);
  if (collective == "all_reduce") comm.all_reduce(one, op, options);
  if (collective == "reduce_scatter") comm.reduce_scatter(many, one, op, options);
  if (collective == "all_gather") comm.all_gather(one, many);
  if (collective == "broadcast") comm.broadcast(one, root);
  if (collective == "all_to_all") comm.all_to_all(many, more);
  if (collective == "gather") comm.gather(one, many, root);
  if (collective == "scatter") comm.scatter(many, one, root);
  if (collective == "barrier") comm.barrier();
  const int last = comm.size() - 1;
  if (collective == "message" && (comm.rank() == 0 || comm.rank() == last)) {
    comm.send_recv(one, last - comm.rank(), other, last - comm.rank());
  }
}

void do_wrong(World& world, Communicator group, std::string_view collective, std::string_view fault,
              std::size_t count) {
  if (fault == "absent") world.barrier();  // the others come to it when they have failed
  if (fault == "throw") throw std::runtime_error("something else");
  if (fault == "stop") raise(SIGSTOP);
  if (fault == "other") collective = collective == "barrier" ? "all_gather" : "barrier";
  if (fault == "dtype")
    call<std::int32_t>(group, collective, fault, count);
  else
    call<float>(group, collective, fault, fault == "size" ? count + 1 : count);
}

std::string outcome(Communicator& group, std::string_view collective, std::size_t count) {
  try {
    call<float>(group, collective, "", count);
    return "nothing";
  } catch (const TimeoutError& error) {
    return fmt::format("TimeoutError for {}", error.rank());
  } catch (const CommError& error) {
    return fmt::format("CommError for {}", error.rank());
  }
}

}  // namespace

int main(int argc, char** argv) {
  World world(argc, argv);
  const int slowdown = argc > 1 ? std::stoi(argv[1]) : 1;
  const int culprit = world.size() - 1;
  std::vector<int> processes(static_cast<std::size_t>(world.size()));
  world.all_gather(std::vector<int>{getpid()}, processes);
  Communicator healthy = world.split(world.rank() == culprit);
  std::size_t cases = 0;
  for (const auto fault : faults) {
    for (const auto collective : collectives) {
      if (!applies(fault, collective)) continue;
      const std::size_t count = ++cases % 2 ? 10 : 3000;
      Communicator group = world.split(0);
      const bool waits = fault == "absent" || fault == "stop";
      group.set_timeout(slowdown * (waits ? 800ms : 20s));
      if (world.rank() == culprit) {
        try {
          do_wrong(world, std::move(group), collective, fault, count);
        } catch (const std::exception&) {
        }
      } else if (collective != "message" || world.rank() == 0) {
        const auto start = std::chrono::steady_clock::now();
        const auto told = outcome(group, collective, count);
        const bool late = std::chrono::steady_clock::now() - start > slowdown * 5s;
        fmt::print("{} {} {}: {}{}\n", fault, collective, world.rank(), told, late ? ", late" : "");
        std::fflush(stdout);
      }
      if (fault == "stop" && world.rank() != culprit) {
        healthy.barrier();  // so that nobody is still waiting when it comes after all
        if (world.rank() == 0) kill(processes.back(), SIGCONT);
      }
      if (fault != "absent" || world.rank() != culprit) world.barrier();
    }
  }
}
