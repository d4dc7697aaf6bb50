#include "benchmarks/measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "benchmarks/buffer.h"
#include "benchmarks/pattern.h"

namespace tutti::bench {
namespace {

constexpr int warm_up_calls = 3;
constexpr double round_seconds = 0.05;

// Seconds for one of `calls` calls, on the slowest rank.
template <typename Call>
double time(Communicator& comm, int calls, const Call& call) {
  comm.barrier();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) call();
  double seconds[] = {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
                      calls};
  comm.all_reduce(seconds, ReduceOp::max);
  return seconds[0];
}

Timing measure_form(Communicator& comm, const Collective& collective, const Settings& settings,
                    ConstBufferView in, BufferView out, const Pattern& input, const Pattern& result) {
  const auto call = [&] { collective.run(comm, in, out, settings.op); };
  input.fill(BufferView(const_cast<void*>(in.data), in.count, in.dtype));
  call();
  std::int64_t wrong[] = {static_cast<std::int64_t>(result.wrong(out))};
  comm.all_reduce(wrong);

  const double estimate = time(comm, warm_up_calls, call);
  const int calls = settings.iterations > 0
                        ? settings.iterations
                        : static_cast<int>(std::clamp(std::ceil(round_seconds / estimate), 1.0, 10000.0));
  std::vector<double> seconds;
  for (int round = 0; round < settings.rounds; ++round) seconds.push_back(time(comm, calls, call));
  std::nth_element(seconds.begin(), seconds.begin() + settings.rounds / 2, seconds.end());
  const double median = seconds[static_cast<std::size_t>(settings.rounds / 2)];
  const double bandwidth = static_cast<double>(out.bytes()) / median / 1e9;
  return {median * 1e6, bandwidth, bandwidth * collective.bus_factor(comm.size()),
          static_cast<std::size_t>(wrong[0])};
}

}  // namespace

Row measure(Communicator& comm, const Collective& collective, const Settings& settings, std::size_t bytes) {
  const auto count = std::max<std::size_t>(1, bytes / size_of(settings.dtype));
  const Pattern input = input_of(comm, collective, settings), result = result_of(comm, collective, settings);
  const Buffer in(comm, count, settings);
  const Buffer out(comm, count, settings);
  return {in.view().bytes(), count,
          measure_form(comm, collective, settings, in.view(), out.view(), input, result),
          measure_form(comm, collective, settings, in.view(), in.view(), input, result)};
}

}  // namespace tutti::bench
